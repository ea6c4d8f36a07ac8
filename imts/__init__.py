"""The user's side of IMTS: the Python client, tracking for any trainer, the command line, and `imts up`."""

from imts.tracking import Run, start

__all__ = ["Run", "start"]
