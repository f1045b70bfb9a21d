"""label_read: candidates for the printed number and the running header of each page."""
