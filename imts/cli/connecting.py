"""The client that every command talks through."""

import os

from imts.client import Client
from imts.remembered import find_connection


def connect() -> Client:
    """A client for the server that the environment, or the last `imts up`, names."""
    found = find_connection()
    return Client(found.url, found.key, stream_url=os.environ.get("IMTS_STREAM_URL") or None)
