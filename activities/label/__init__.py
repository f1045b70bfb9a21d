"""label: printed numbers as a sequence over the whole book, running headers, page types."""
