"""The user's side of IMTS: the Python client, the command line, and `imts up`."""
