"""Every service against what the others expect of it."""
