"""What every creating call says in its headers."""

from starlette.responses import Response


def mark_created(response: Response, location: str, *, is_replay: bool) -> None:
    """Where the new thing is found, and whether the Idempotency-Key was used before."""
    response.headers["location"] = location
    if is_replay:
        response.headers["idempotency-replayed"] = "true"
