"""The log itself, in SQL: who may append what, in which order, and how it is read back."""
