"""What a confidence of metadata means: the share of books in which a field with such evidence is right.

A field is told by what it is printed as and by how many places agree, so confidences are few and named. They are set from
the order of that evidence and meant to be read so: fields of `ONCE` want a look, those of `TWICE` and better do not.
"""

CHECKED = 0.99
"""Carries its own proof: a checksum."""
TWICE = 0.95
"""Printed in two places that agree: title page and copyright notice, half title, running header or citation."""
FORMULA = 0.85
"""Printed once, in a form that has one meaning: "by Anna Lee", "Published by X, London", "© 1916"."""
ONCE = 0.75
"""Printed once, told by its size and place alone."""
GUESSED = 0.6
"""Told by a word in it ("... Press"), or by what is left when all else is told."""
DOUBTFUL = 0.5
"""As `ONCE`, of words of which the engines are not sure."""
ASIDE = 0.4
"""From where titles and names are not printed as such: running headers alone, the PDF's document information."""
