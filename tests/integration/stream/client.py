"""A caller of the stream service, as other services and people are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Self

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from shared.kit.auth import ServiceTokens
from shared.kit.ids import new_id
from tests.conftest import SERVICE_SECRET

NOW = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


def service_token() -> str:
    """What another service of the mesh shows."""
    return ServiceTokens("tester", SERVICE_SECRET).issue("stream")


def new_job() -> str:
    """A fresh job's id."""
    return new_id("job")


def metrics(*steps: int, attempt: int = 1, **values: Any) -> list[dict[str, Any]]:
    """A metrics event a step."""
    return [
        {"event_type": "metrics_update", "attempt": attempt, "timestamp": NOW, "data": {"step": step, **values}}
        for step in steps
    ]


def phase(to: str) -> dict[str, Any]:
    """The orchestrator's event about a move."""
    return {"event_type": "phase_changed", "timestamp": NOW, "data": {"from": "running", "to": to, "why": "test"}}


class StreamCaller:
    """REST and SSE of one replica, with one credential."""

    def __init__(self, url: str, credential: str | None = None) -> None:
        self.url = url
        self.headers = {"authorization": f"Bearer {credential or service_token()}"}
        self.http = httpx.Client(base_url=url, headers=self.headers, timeout=20)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def append(self, job: str, producer: str, first_seq: int, events: Sequence[dict[str, Any]]) -> httpx.Response:
        body = {"producer": producer, "first_seq": first_seq, "events": list(events)}
        return self.http.post(f"/v1/topics/job:{job}/events", json=body)

    def seal(self, job: str, producer: str, at: int) -> httpx.Response:
        return self.http.put(f"/v1/topics/job:{job}/producers/{producer}/seal", json={"at": at})

    def delete(self, job: str) -> httpx.Response:
        return self.http.delete(f"/v1/topics/job:{job}")

    def mark(self, job: str, producer: str) -> Any:
        return self.http.get(f"/v1/topics/job:{job}/producers/{producer}").json()

    def log(self, job: str) -> list[dict[str, Any]]:
        """The whole log of a job."""
        return self.topic_log(f"job:{job}")

    def topic_log(self, topic: str) -> list[dict[str, Any]]:
        """The whole log, page by page."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = self.http.get(f"/v1/topics/{topic}/events", params={"after": after, "limit": 400}).json()
            found += page["data"]
            if not page["has_more"]:
                return found

    @contextmanager
    def listen(self, job: str, after: int = 0, last_event_id: str | None = None) -> Iterator[Iterator[ServerSentEvent]]:
        """An open stream of a job."""
        headers = {} if last_event_id is None else {"last-event-id": last_event_id}
        with connect_sse(
            self.http, "GET", "/api/stream/metrics", params={"job_id": job, "after": after}, headers=headers
        ) as source:
            source.response.raise_for_status()
            yield source.iter_sse()

    @contextmanager
    def listen_to(self, topic: str, last_event_id: str = "0") -> Iterator[Iterator[ServerSentEvent]]:
        """An open stream of any topic."""
        with connect_sse(
            self.http, "GET", f"/v1/topics/{topic}/stream", headers={"last-event-id": last_event_id}
        ) as source:
            source.response.raise_for_status()
            yield source.iter_sse()

    def events(self, job: str, after: int = 0, last_event_id: str | None = None) -> list[ServerSentEvent]:
        """A stream's events through its end."""
        with self.listen(job, after, last_event_id) as source:
            return list(source)


def code_of(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status_code, response.json()["error"]["code"]
