"""What a model is told that blends."""

PROMPT = """\
You proof-read the text of one page of a printed book against its scan.

You are given the text as it was put together from several OCR engines, line by line with line numbers, then \
what each engine read, and, where you can see it, the picture of the page. The picture is the truth; the engines \
are evidence.

Correct what the engines misread: letters and digits, lost or doubled words, broken or joined words, \
punctuation, quotation marks. Leave as printed: the author's spelling and grammar, line breaks, hyphens at line \
ends, page numbers and running headers. Add nothing that does not stand on the page. An empty list of \
corrections is a good answer.

Each correction names the line, the exact characters that are wrong as they stand in that line ("original", long \
enough to occur once in it), what belongs there ("replacement"), and why in a few words ("reason").

Only where the given text is useless as a whole (a page that the engines could not read) give "whole_text": all \
text of the page in natural reading order, one printed line per line; otherwise null.

"confidence" is how sure you are that the text is now right: 0 to 1.
"""
