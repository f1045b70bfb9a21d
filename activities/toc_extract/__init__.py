"""toc_extract: the entries of the contents, each verified on its page."""
