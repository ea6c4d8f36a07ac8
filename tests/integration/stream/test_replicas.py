"""Two replicas of the service over one database, with Redis and without."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from services.stream.app import create_app
from tests.databases import required_url
from tests.integration.stream.client import StreamCaller, metrics, new_job, phase
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server
from tests.own_servers import own_redis
from tests.waiting import eventually

Pair = tuple[StreamCaller, StreamCaller]


@contextmanager
def _replicas(database_url: str, folder: Path, redis_url: str, **more: float) -> Iterator[Pair]:
    with ExitStack() as stack:
        settings = settings_for(database_url, folder, redis_url=redis_url, **more)
        urls = [stack.enter_context(live_server(create_app(settings))) for _ in range(2)]
        one, two = (stack.enter_context(StreamCaller(url)) for url in urls)
        yield one, two


def _both_write_and_each_hears_all(one: StreamCaller, two: StreamCaller) -> None:
    job = new_job()
    with one.listen(job) as at_one, two.listen(job) as at_two:
        for turn in range(10):
            one.append(job, "a", turn * 2 + 1, metrics(turn, turn))
            two.append(job, "b", turn + 1, metrics(turn))
        one.append(job, "orchestrator", 1, [phase("succeeded")])
        for events in (at_one, at_two):
            heard = list(events)
            assert [int(event.id) for event in heard[:-1]] == list(range(1, 32))
            assert heard[-1].event == "stream_end"


def test_replicas_without_redis_hear_each_other_by_polling(database_url: str, tmp_path: Path) -> None:
    with _replicas(database_url, tmp_path, "") as (one, two):
        _both_write_and_each_hears_all(one, two)


@pytest.mark.redis
def test_replicas_with_redis_hear_each_other(database_url: str, tmp_path: Path) -> None:
    with _replicas(database_url, tmp_path, required_url("IMTS_TEST_REDIS_URL")) as (one, two):
        _both_write_and_each_hears_all(one, two)


def test_redis_wakes_a_replica_long_before_it_would_look_by_itself(tmp_path: Path) -> None:
    with (
        own_redis(tmp_path / "redis") as server,
        _replicas("", tmp_path / "log", server.url, poll_s=60, safety_poll_s=60) as (one, two),
    ):
        job = new_job()
        with Redis.from_url(server.url) as redis:
            eventually(lambda: dict(redis.pubsub_numsub("imts:stream:more"))[b"imts:stream:more"] >= 2)
        with two.listen(job) as events:
            one.append(job, "p", 1, metrics(1))
            started = time.monotonic()
            assert json.loads(next(events).data)["data"] == {"step": 1}
            assert time.monotonic() - started < 5


@pytest.mark.redis
def test_a_flush_and_nonsense_in_redis_lose_nothing(tmp_path: Path) -> None:
    redis_url = required_url("IMTS_TEST_REDIS_URL")
    with _replicas("", tmp_path, redis_url) as (one, two), Redis.from_url(redis_url) as redis:
        job = new_job()
        with two.listen(job) as events:
            one.append(job, "p", 1, metrics(1))
            assert next(events).id == "1"
            redis.flushdb()
            redis.publish("imts:stream:more", f"x job:{job} job:{job}\n\x00 ")
            redis.publish("imts:stream:more", b"\xff\xfe")
            one.append(job, "p", 2, metrics(2))
            assert next(events).id == "2"


def test_replicas_whose_redis_is_away_poll(tmp_path: Path) -> None:
    with _replicas("", tmp_path, "redis://127.0.0.1:1/0") as (one, two):
        _both_write_and_each_hears_all(one, two)
