"""Servers outside the mesh that an operator lets jobs send things to, by name: users name them, never a URL."""

import re

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
