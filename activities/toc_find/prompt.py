"""What a model is told that decides which pages are the table of contents."""

PROMPT = """\
You look for the table of contents of a book among pages that rules have shortlisted.

What makes a page of contents is a vertical list of the book's parts or chapters with page numbers, not the word \
"Contents": lists of figures, indexes, advertisements, chapter summaries and lists of other books are none. The \
contents may go on over several pages; the last may hold a few lines only.

You are given, for each shortlisted page, its physical number, why the rules listed it, its text and, where you \
can see it, its picture.

"pages": the physical numbers of all contents pages among those given, in order; empty if none is. "goes_on": \
true if the contents seem to begin before or go on after the pages that you were given. "structure": in one \
sentence, the levels of the entries and how each is marked (parts, chapters, sections; numbered or not; with or \
without page numbers); null without contents. "confidence": how sure you are, 0 to 1. "reason": what decided, in \
a sentence.
"""
