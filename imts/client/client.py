"""The client: one server, one key, everything a person or a program does with IMTS."""

import time
from collections.abc import Iterator
from typing import Self

from imts.client.chat import ask
from imts.client.datasets import Datasets
from imts.client.errors import ClientError, ImtsApiError, ServerUnreachable
from imts.client.jobs import Jobs
from imts.client.models import Models
from imts.client.sweeps import Sweeps
from imts.client.transport import Transport
from imts.client.watching import EventStream
from imts.client.webhooks import Webhooks
from imts.client.workers import Workers
from shared.contracts.events import Event
from shared.contracts.jobs import TERMINAL, JobView, SystemView

_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 1.0


class Client:
    """Calls an IMTS server in the caller's thread; use it as a context manager, or `close()` it."""

    def __init__(
        self, url: str, key: str, *, stream_url: str | None = None, timeout_s: float = 30.0, patience_s: float = 120.0
    ) -> None:
        """`patience_s` is how long `watch` and `wait` outlive a server that does not answer."""
        self._key = key
        self._stream_url = stream_url
        self._patience_s = patience_s
        self._transport = Transport(url, key, timeout_s)
        self.datasets = Datasets(self._transport)
        self.models = Models(self._transport)
        self.jobs = Jobs(self._transport)
        self.sweeps = Sweeps(self._transport)
        self.workers = Workers(self._transport)
        self.webhooks = Webhooks(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._transport.close()

    @property
    def url(self) -> str:
        """The orchestrator's address."""
        return self._transport.url

    def system(self) -> SystemView:
        """Every service's address, version and state."""
        return self._transport.get("/api/system", SystemView)

    def stream_url(self) -> str:
        """Where the stream service answers; the orchestrator is asked once."""
        if self._stream_url is None:
            urls = [service.url for service in self.system().services if service.name == "stream"]
            if not urls:
                raise ClientError(f"{self.url} names no stream service")
            self._stream_url = urls[0]
        return self._stream_url

    def chat(self, model: str, question: str, *, system: str | None = None, **options: object) -> Iterator[str]:
        """A model's answer, piece by piece; `options` are fields of OpenAI's chat completions, such as `max_tokens`."""
        messages = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": question})
        return ask(self.url, self._key, {"model": model, "messages": messages, **options})

    def watch(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """A job's events as they happen, past `after`; ends with the job, survives restarts on the way."""
        yield from self._events().follow_job(job_id, after)

    def watch_project(self, project: str, *, after: int = 0) -> Iterator[Event]:
        """How the jobs and runs of a project come and go, past `after`; `data["job_id"]` says whose event it is."""
        yield from self._events().follow_project(project, after)

    def _events(self) -> EventStream:
        return EventStream(self.stream_url(), self._key, self._patience_s)

    def wait(self, job_id: str, *, within_s: float | None = None) -> JobView:
        """The job once it has ended; TimeoutError when that takes longer than `within_s`."""
        started = last_answer = time.monotonic()
        pause_s = _FIRST_POLL_S
        while True:
            try:
                job = self.jobs.get(job_id)
                last_answer = time.monotonic()
                if job.status in TERMINAL:
                    return job
            except (ServerUnreachable, ImtsApiError) as fault:
                is_passing = isinstance(fault, ServerUnreachable) or fault.status >= 500
                if not is_passing or time.monotonic() - last_answer > self._patience_s:
                    raise
            if within_s is not None and time.monotonic() - started > within_s:
                raise TimeoutError(f"{job_id} has not ended within {within_s:g} s")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
