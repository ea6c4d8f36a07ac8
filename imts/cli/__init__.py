"""The `imts` command, one verb a file."""
