"""What a model is told that reads a book's metadata."""

PROMPT = """\
You catalogue a book from its first pages: half title, title page, copyright page, preliminaries.

Take every value from these pages as it is printed; put nothing in that they do not say, and look nothing up \
from memory. A field that the pages do not give is null, or an empty list.

"title": the title proper, without subtitle and series. "subtitle". "authors": all authors in the order of the \
title page, each as "Given names Family name"; editors, translators, illustrators and others are "contributors" \
with their role ("editor", "translator", ...). "publisher": the house that published this edition, "place": its \
first place. "year": year of publication of this edition. "isbn": every ISBN that is printed. "lccn": Library of \
Congress Control Number. "language": of the text, ISO 639-1. "description": two sentences on what the book is, \
from what these pages say; null if they do not tell. "subjects": subject headings that the pages print \
(cataloguing in publication), else an empty list. "confidence": how sure you are of the title and authors, 0 to \
1.
"""
