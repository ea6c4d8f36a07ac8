"""Ports for processes that are started, killed and started again."""

import random
import socket

_BELOW_OUTGOING = range(20_000, 30_000)
"""Nothing connecting outwards is given one of these while the server that owns it is down."""


def free_port() -> int:
    """A port that nobody had a moment ago."""
    while True:
        port = random.choice(_BELOW_OUTGOING)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
