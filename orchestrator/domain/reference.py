"""How a caller names a version: `name`, `name@2`, `name@alias` or an id."""

import re
from dataclasses import dataclass

from shared.contracts.base import NAME_PATTERN
from shared.kit.errors import InvalidRequest

_ID = re.compile(r"^(ds|mdl)-[0-9a-z]{26}$")


@dataclass(frozen=True, slots=True)
class ParsedReference:
    """Either an id, or a name with nothing, a version or an alias behind it."""

    id: str | None = None
    name: str = ""
    version: int | None = None
    alias: str | None = None


def parse_reference(reference: str) -> ParsedReference:
    """What `reference` asks for; its shape was checked by the contract."""
    if _ID.match(reference):
        return ParsedReference(id=reference)
    name, _, which = reference.partition("@")
    if not which:
        return ParsedReference(name=name)
    if which.isascii() and which.isdigit():
        return ParsedReference(name=name, version=min(int(which), 2**31 - 1))
    return ParsedReference(name=name, alias=which)


def check_name(name: str) -> str:
    """A name that is neither a path nor a URL, nor looks like one of our ids."""
    if not re.fullmatch(NAME_PATTERN[1:-1], name):
        raise InvalidRequest(
            "name: use up to 96 letters, digits, '.', '_' and '-', starting with a letter or digit; not a path or URL",
            param="name",
        )
    if _ID.match(name):
        raise InvalidRequest("name: looks like an id of ours; choose another name", param="name")
    return name
