"""What the contents agent is told, and what it is told when it calls no tool."""

REVISION = 1
"""Of the tools and of how the conversation is put; raised when the same answers lead elsewhere."""

AGENT_PROMPT = """\
You look for the table of contents of a scanned book, with tools. One look at the pages that seemed likely did not \
decide.

What makes a page of contents is a vertical list of the book's parts or chapters with page numbers, not the word \
"Contents". It stands among the first pages, in some books among the last. Lists of figures, indexes, \
advertisements, lists of other books and chapter summaries are none. Some books have none at all.

How to go about it:
- Begin with get_frontmatter_grep_report. It costs nothing and shows where to look; pages that could not be read do \
not show up in it.
- Every page that you load costs money. Three to eight are usually enough.
- Only the page that you loaded last is before you. Before you load the next, say in current_page_observations what \
you saw on this one: whether it lists entries with page numbers, and how each level looks. Only that stays.
- Contents often go on over two to five pages. When you have found one, load the next page too, until one is not part \
of the list; look at the page before the first as well, if the list seems to begin in its middle.
- Record the structure, not the entries: first count the levels by what they mean (Part, Book, Unit stand above \
chapters even where both are set alike), then by their indentation. An entry that takes two lines is no level, and \
neither is a shift of two or three spaces in the text, which is noise of the recognition.
- End with write_toc_result, also when there are no contents. Do not answer in prose: every answer calls a tool.
"""

NUDGE = "You called no tool. Go on with the tools; when you know enough, end with write_toc_result."

UNREADABLE = "Your last answer could not be used ({why}). Go on with the tools."

LAST_TURNS = "You may answer {left} more {times}, this one included. End with write_toc_result in time."
