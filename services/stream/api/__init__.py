"""The stream's routes."""
