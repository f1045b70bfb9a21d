"""What can be said about a page or a book by rules, without a model: printed numbers, running headers, page types,
metadata, contents. Pure functions from `PageReading`s (and small results of one another) to frozen results.
"""

REVISION = 4
"""Part of the fingerprint: raised where a rule changes, so that a re-run does not find the old result."""
