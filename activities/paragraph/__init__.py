"""paragraph: paragraphs, headings, notes and figures of each chapter, with the words that they are made of."""
