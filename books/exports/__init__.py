"""A processed book as a file that others can use: text, Markdown, JSON, EPUB, PDF, hOCR, ALTO, METS.

Each format is a module with one function from an `Export` to a file or a folder; `registry.py` names them, `content.py` says
what there is to read in which order, `files.py` makes that a failed export leaves nothing behind. Formats are described in
`docs/exports.md`.
"""
