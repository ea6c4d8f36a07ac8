"""Makes the workers match the rows."""
