"""`imts backup` and `imts restore`: both databases and what they refer to, as one folder or file."""
