"""metadata: title, authors, publisher, place, year, ISBN, language, each with its evidence."""
