"""Redis dies, hangs, forgets and comes back beneath two replicas: it carries hints, so moments are lost, not events."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop
from httpx_sse import ServerSentEvent
from redis import Redis

from tests.chaos.conftest import Chaos
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Writers
from tests.databases import fresh_schema
from tests.integration.stream.client import StreamCaller, metrics, new_job
from tests.own_servers import OwnRedis, own_redis
from tests.stream_process import StreamProcess, stream_process
from tests.waiting import become, eventually

pytestmark = [pytest.mark.chaos, pytest.mark.mysql, pytest.mark.timeout(1_800)]

_CHANNEL = "imts:stream:more"


def _is_heard_by_both(redis: OwnRedis) -> bool:
    with Redis.from_url(redis.url) as client:
        return bool(dict(client.pubsub_numsub(_CHANNEL))[_CHANNEL.encode()] >= 2)


async def _disturb(chaos: Chaos, redis: OwnRedis) -> None:
    seeded = chaos.random
    for _ in range(chaos.count(1, 6)):
        assert redis.process is not None
        await asyncio.sleep(seeded.uniform(0.2, 0.6))
        with Redis.from_url(redis.url) as client:
            client.flushall()
            client.publish(_CHANNEL, b"\xff nonsense \x00 job:")
        await asyncio.sleep(seeded.uniform(0.1, 0.3))
        redis.kill()
        await asyncio.sleep(seeded.uniform(0.5, 1.5))
        redis.start()
        await become(lambda: _is_heard_by_both(redis), 10)
        redis.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seeded.uniform(0.5, chaos.size(1, 12)))
        redis.process.send_signal(signal.SIGCONT)


async def _story(chaos: Chaos, redis: OwnRedis, one: StreamProcess, two: StreamProcess, job: str) -> list[Audience]:
    seeded = chaos.random
    topic = f"job:{job}"
    count = chaos.size(20, 100)
    async with (
        Audience(topic, count, lambda: one.port, seeded) as at_one,
        Audience(topic, count, lambda: two.port, seeded) as at_two,
        Writers(topic, [lambda: one.port, lambda: two.port], seeded, 0.05) as writers,
    ):
        await _disturb(chaos, redis)
        await writers.finish(30)
        for audience in (at_one, at_two):
            await audience.have_ended(30)
    with StreamCaller(two.url) as caller:
        log = caller.log(job)
    writers.assert_exactly_once(log)
    for audience in (at_one, at_two):
        assert {member.checksum for member in audience.members} == {checksum_of(log)}
    return [at_one, at_two]


def test_replicas_lose_nothing_whatever_becomes_of_redis(chaos: Chaos, tmp_path: Path) -> None:
    with (
        own_redis(tmp_path / "redis") as redis,
        fresh_schema() as database,
        stream_process(tmp_path / "one", database, IMTS_REDIS_URL=redis.url) as one,
        stream_process(tmp_path / "two", database, IMTS_REDIS_URL=redis.url) as two,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        audiences = runner.run(_story(chaos, redis, one, two, new_job()))
    for audience in audiences:
        assert audience.faults() == []
        # Nobody had to come again: a stream outlives Redis.
        assert {member.connections for member in audience.members} == {1}


@contextmanager
def _patient_replicas(folder: Path, redis: OwnRedis) -> Iterator[tuple[StreamCaller, StreamCaller]]:
    """Two that would find each other's events a minute later if they looked by themselves."""
    with (
        fresh_schema() as database,
        stream_process(folder / "one", database, IMTS_REDIS_URL=redis.url, STREAM_SAFETY_POLL_S="60") as one,
        stream_process(folder / "two", database, IMTS_REDIS_URL=redis.url, STREAM_SAFETY_POLL_S="60") as two,
        StreamCaller(one.url) as caller_one,
        StreamCaller(two.url) as caller_two,
    ):
        yield caller_one, caller_two


def _is_heard_soon(number: int, job: str, at: StreamCaller, events: Iterator[ServerSentEvent]) -> bool:
    began = time.monotonic()
    assert at.append(job, "p", number, metrics(number)).status_code == 200
    assert next(events).id == str(number)
    return time.monotonic() - began < 5


def test_replicas_poll_while_redis_is_away_and_are_woken_again_when_it_is_back(tmp_path: Path) -> None:
    job = new_job()
    with own_redis(tmp_path / "redis") as redis, _patient_replicas(tmp_path, redis) as (one, two):
        eventually(lambda: _is_heard_by_both(redis))
        with two.listen(job) as events:
            assert _is_heard_soon(1, job, one, events)
            redis.kill()
            assert _is_heard_soon(2, job, one, events)
            redis.start()
            eventually(lambda: _is_heard_by_both(redis))
            assert _is_heard_soon(3, job, one, events)
