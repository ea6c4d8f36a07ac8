"""Optimistic concurrency: an `ETag` says what was read, and `If-Match` refuses to write over anything else."""

from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from shared.kit.errors import PreconditionFailed

IfMatch = Annotated[
    str | None, Header(alias="If-Match", pattern=r'^"[A-Za-z0-9_.-]{1,64}"$', description="`ETag` that was read")
]


def tell_tag(response: Response, tag: object) -> None:
    """Say which state an answer is."""
    response.headers["etag"] = f'"{tag}"'


def require_match(if_match: str | None, tag: object, what: str) -> None:
    """PreconditionFailed unless the state is the one that the caller read; who read none may write over any.

    To be asked in the transaction that writes, with the row held.
    """
    if if_match is not None and if_match != f'"{tag}"':
        raise PreconditionFailed(f"{what} was changed meanwhile; read it again", param="If-Match")
