"""Looks at data sets and says how healthy they are."""
