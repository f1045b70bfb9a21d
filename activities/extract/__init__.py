"""extract: what each leaf is — geometry, rotation, image hash, quality of the text layer."""
