"""Who starts next, where, and what the others wait for: pure decisions, and the newest word of each worker."""
