"""What every service says while something it needs is away."""

from typing import Any

import httpx


def assert_is_an_outage(answer: httpx.Response) -> None:
    """503 in the one error body: nothing is wrong with the request, come again."""
    assert answer.status_code == 503, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert (error["type"], error["code"], error["retryable"]) == ("server_error", "unavailable", True)
    assert "try again" in error["message"]
