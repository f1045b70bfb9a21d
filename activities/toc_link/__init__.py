"""toc_link: every entry of the contents to the leaf on which it begins, and what disagrees."""
