"""Serving: chat completions from a base and its adapters, by one engine process beside the service."""
