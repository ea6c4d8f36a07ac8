"""Reads data sets once, at upload, into one checked form that every service reads."""
