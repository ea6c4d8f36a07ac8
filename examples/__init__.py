"""Small data sets and walks through the platform that run on any machine."""
