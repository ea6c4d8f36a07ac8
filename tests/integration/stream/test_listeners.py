"""Listeners who leave cost nothing that stays, and none of them blocks the loop."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from services.stream.app import create_app
from services.stream.wiring import Stream
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import Delivery, settings_for
from tests.waiting import eventually


@dataclass
class Inside:
    """A running service, and a look inside it."""

    caller: StreamCaller
    stream: Stream

    @property
    def topics(self) -> int:
        return len(self.stream.fanout.topics)


@pytest.fixture
def inside(tmp_path: Path, delivery: Delivery) -> Iterator[Inside]:
    """A service, either way."""
    app = create_app(settings_for("", tmp_path))
    with delivery.serve(app) as url, StreamCaller(url) as caller:
        yield Inside(caller, app.state.stream)


def test_a_feed_lives_as_long_as_somebody_listens(inside: Inside) -> None:
    job = new_job()
    inside.caller.append(job, "p", 1, metrics(1))
    with inside.caller.listen(job) as one, inside.caller.listen(job) as two:
        assert [next(one).id, next(two).id] == ["1", "1"]
        assert inside.topics == 1
    eventually(lambda: inside.topics == 0)


def test_the_event_loop_is_never_blocked(inside: Inside) -> None:
    with blockbuster_ctx("services.stream"):
        job = new_job()
        with inside.caller.listen(job) as events:
            inside.caller.append(job, "p", 1, metrics(1, train_loss=1.0))
            assert next(events).id == "1"
            assert inside.caller.seal(job, "p", 1).status_code == 200
            assert inside.caller.http.get("/api/metrics/history", params={"job_id": job}).status_code == 200
            assert inside.caller.http.get("/api/metrics/current", params={"job_id": job}).status_code == 200
            inside.caller.append(job, "orchestrator", 1, [phase("failed")])
            assert [event.event for event in events] == ["phase_changed", "stream_end"]
