"""What a model is told that extracts the entries of the contents."""

PROMPT = """\
You extract the entries of a book's printed table of contents.

You are given the text of all contents pages in order, and, where you can see them, their pictures. Take every \
entry, top to bottom, exactly as printed; leave out the heading "Contents", running headers, page numbers of the \
contents pages themselves, lists of figures.

"number": what numbers the entry ("3", "3.1", "IV", "A"), without words like Chapter or Part; null without. \
"title": without number, leaders and page number; "" where a part has none. An entry that is wrapped over \
several lines is one entry. "level": 1 to 4, 1 the top; by numbering and by what the entries are (parts hold \
chapters, even if both are printed at one indent; several entries under each part are a level of their own), \
then by indent; preface, appendices, bibliography and index are level 1. "kind": "part", "chapter", "section", \
"appendix", or null. "page": the page number as printed, arabic or roman, verbatim; null where none is printed. \
"contents_page": physical number of the contents page on which the entry stands, as given.
"""
