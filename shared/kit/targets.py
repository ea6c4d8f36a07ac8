"""Servers outside the mesh that an operator lets jobs send things to, by name: users name them, never a URL."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_TARGET = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]{0,95})=(?P<url>https?://[^/,\s@?#]+(?:/[^,\s@?#]*)?)")


def parse_targets(text: str) -> dict[str, str]:
    """`name=URL,name=URL`; ValueError says which part is neither."""
    found: dict[str, str] = {}
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        match = _TARGET.fullmatch(part)
        if match is None:
            raise ValueError("use `name=http://host:port`, or several with commas between; no user name or query")
        if match["name"] in found:
            raise ValueError(f"two targets are called {match['name']}; name each one once")
        found[match["name"]] = match["url"].rstrip("/")
    return found


@dataclass(frozen=True, slots=True)
class Hub:
    """A model hub, and whose repositories there jobs may write."""

    endpoint: str
    namespace: str


_NAMESPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def parse_hubs(text: str) -> dict[str, Hub]:
    """`name=https://host/namespace`, several with commas between; ValueError says what is wrong."""
    return {name: _hub(url) for name, url in parse_targets(text).items()}


def _hub(url: str) -> Hub:
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise ValueError("a hub is sent a token: use https (http on this machine only)")
    endpoint, _, namespace = url.rpartition("/")
    if not parts.path or not _NAMESPACE.fullmatch(namespace):
        raise ValueError("use `name=https://hub/namespace`: whose repositories may be written, as in its own addresses")
    return Hub(endpoint, namespace)
