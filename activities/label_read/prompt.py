"""What a model is told that reads page numbers and running headers."""

PROMPT = """\
You read the printed page number and the running header of one page of a book.

You are given the text of the page, its first and last lines marked, and, where you can see it, its picture.

"page_number" is the number of this page as it is printed in its head or foot, arabic ("17"), roman ("xii") or \
composite ("A-3"), without ornaments; null where none is printed. Numbers in the running text, of chapters, \
sections, footnotes, figures or years are no page numbers.

"running_header" is the line in the head that neighbouring pages share (book, part or chapter title), as printed \
and without the page number; null where there is none. A chapter's own heading on its first page, or the first \
line of the text, is no running header.
"""
