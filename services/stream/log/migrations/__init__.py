"""Schema history of the stream's own database."""
