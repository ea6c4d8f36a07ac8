"""Programs for those who work on IMTS itself."""
