"""Follow a log's events over SSE, across cut connections, with no gap and no repeat."""

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx
from httpx_sse import SSEError, connect_sse
from pydantic import ValidationError

from imts.client.errors import ClientError, ImtsApiError, unreachable
from imts.client.transport import open_http
from shared.contracts.events import FAREWELL, RESET, STREAM_END, Event, project_topic

_SILENCE_S = 60.0
"""Without even a heartbeat for this long, the connection is taken for dead."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


@dataclass
class _Patience:
    """How long to keep reconnecting, and how long to pause before the next try."""

    limit_s: float
    sleep: Callable[[float], None]
    _pause_s: float = _FIRST_PAUSE_S
    _last_good: float = field(default_factory=time.monotonic)

    def renew(self) -> None:
        self._pause_s = _FIRST_PAUSE_S
        self._last_good = time.monotonic()

    def is_over(self) -> bool:
        return time.monotonic() - self._last_good > self.limit_s

    def pause(self) -> None:
        # Jitter keeps the clients of a restarted server from coming back all at once.
        self.sleep(self._pause_s * random.uniform(0.5, 1.5))  # noqa: S311
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)


class EventStream:
    """The events of one topic, from the stream service."""

    def __init__(
        self, stream_url: str, key: str, patience_s: float = 120.0, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url = stream_url
        self._key = key
        self._patience_s = patience_s
        self._sleep = sleep

    def follow_job(self, job_id: str, after: int = 0) -> Iterator[Event]:
        """Every event past `after`, in order, until the job's log has ended."""
        return self._follow("/api/stream/metrics", {"job_id": job_id}, after)

    def follow_project(self, project: str, after: int = 0) -> Iterator[Event]:
        """Every event past `after`, in order, for ever."""
        return self._follow(f"/v1/topics/{quote(project_topic(project))}/stream", {}, after)

    def _follow(self, path: str, query: dict[str, str], after: int) -> Iterator[Event]:
        patience = _Patience(self._patience_s, self._sleep)
        cursor = after
        with open_http(self._url, self._key, httpx.Timeout(_SILENCE_S, connect=5.0)) as http:
            while True:
                try:
                    for event in self._connect(http, path, query, cursor):
                        if event is None:
                            return
                        patience.renew()
                        if isinstance(event, int):
                            cursor = event
                        elif event.seq > cursor:
                            cursor = event.seq
                            yield event
                except (httpx.HTTPError, SSEError) as fault:
                    if patience.is_over():
                        cause = fault if isinstance(fault, httpx.HTTPError) else httpx.HTTPError(str(fault))
                        raise unreachable(self._url, cause) from fault
                patience.pause()

    def _connect(
        self, http: httpx.Client, path: str, query: dict[str, str], cursor: int
    ) -> Iterator[Event | int | None]:
        """The events of one connection; a number is where to start over, None stands for the end of the log."""
        headers = {"last-event-id": str(cursor)} if cursor else {}
        with connect_sse(http, "GET", path, params=query, headers=headers) as source:
            if source.response.is_server_error:
                source.response.raise_for_status()
            if not source.response.is_success:
                source.response.read()
                raise ImtsApiError.of(source.response)
            for message in source.iter_sse():
                if message.event == STREAM_END:
                    yield None
                elif message.event == RESET:
                    yield _start_over(message.data)
                elif message.data and message.event != FAREWELL:
                    yield _event_of(message.data)


def _start_over(data: str) -> int:
    """The log's last event, when it is shorter than what was seen of it; ClientError when it is gone."""
    try:
        said = json.loads(data)
        reason, last_seq = str(said["reason"]), int(said["last_seq"])
    except (ValueError, TypeError, KeyError) as fault:
        raise ClientError("the stream said a reset this client does not know") from fault
    if reason == "deleted":
        raise ClientError("this log is no longer kept: it was deleted under its project's retention policy")
    return last_seq


def _event_of(data: str) -> Event:
    try:
        return Event.model_validate(json.loads(data), extra="ignore")
    except (ValueError, ValidationError) as fault:
        raise ClientError("the stream sent an event this client does not know") from fault
