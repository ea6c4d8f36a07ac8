"""Asks models questions and says how well they answer."""
