"""blend: the best text of a page from all its readings, with who said each word."""
