"""Model files made or converted by the training service."""
