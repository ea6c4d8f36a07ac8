"""The typed Python client of the IMTS API; the command line is written on it."""

from imts.client.client import Client
from imts.client.errors import ClientError, ImtsApiError, ServerUnreachable

__all__ = ["Client", "ClientError", "ImtsApiError", "ServerUnreachable"]
