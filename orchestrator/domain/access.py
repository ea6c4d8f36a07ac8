"""Who holds a key."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """The person or program behind an API key."""

    name: str
    is_admin: bool


class KeyRepository(Protocol):
    """API keys, of which only hashes are kept."""

    def find(self, key_hash: str) -> KeyHolder | None:
        """Who holds the key with this hash; None when nobody does any more."""
        ...

    def preset(self, name: str, key_hash: str) -> None:
        """Make this the one admin key of that name; the one it replaces stops working."""
        ...
