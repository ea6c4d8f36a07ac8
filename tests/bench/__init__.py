"""Measurements against a peer in the same run; `make bench` writes `bench.json` and prints a table."""
