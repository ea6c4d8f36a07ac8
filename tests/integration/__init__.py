"""Real databases, real HTTP, real processes."""
