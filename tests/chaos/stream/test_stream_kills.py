"""The stream service is killed with signal 9 again and again while it takes events in and gives them out."""

import asyncio
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Writers
from tests.integration.stream.client import StreamCaller, new_job
from tests.stream_process import StreamProcess, stream_process
from tests.waiting import become

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]

_LIFE_S = (0.3, 1.5)
_PATIENCE_S = 30.0


class Recovery(NamedTuple):
    """Seconds from a start of the process: until it listens, until it has acknowledged, until everybody is whole."""

    listening: float
    acknowledged: float
    whole: float


async def _listening_at(port: int) -> float:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.005)
            continue
        writer.transport.abort()
        return time.monotonic()


async def _kill_and_recover(replica: StreamProcess, writers: Writers, audience: Audience) -> Recovery:
    replica.kill()
    # What it had answered by then has still to be read.
    await asyncio.sleep(0.05)
    known = writers.acknowledged
    replica.begin()
    async with asyncio.timeout(_PATIENCE_S):
        listening = await _listening_at(replica.port)
    await become(lambda: known != writers.acknowledged, _PATIENCE_S)
    acknowledged = time.monotonic()
    # One topic without gaps: as many events are in its log as were acknowledged, the newest of them after the restart.
    await audience.have_heard(sum(writers.acknowledged), _PATIENCE_S)
    began = replica.began_at
    return Recovery(listening - began, acknowledged - began, time.monotonic() - began)


async def _story(chaos: Chaos, replica: StreamProcess, job: str) -> tuple[Audience, Writers, list[Recovery]]:
    seeded = chaos.random
    topic = f"job:{job}"
    recoveries: list[Recovery] = []
    async with (
        Audience(topic, chaos.size(200, 2_000), lambda: replica.port, seeded, (0.5, 1.0)) as audience,
        Writers(topic, [lambda: replica.port], seeded, 0.3, batch=4) as writers,
    ):
        await audience.have_heard(1, _PATIENCE_S)
        for _ in range(chaos.count(3, 25)):
            await asyncio.sleep(seeded.uniform(*_LIFE_S))
            recoveries.append(await _kill_and_recover(replica, writers, audience))
        await writers.finish(_PATIENCE_S)
        await audience.have_ended(_PATIENCE_S)
    return audience, writers, recoveries


def test_kills_during_ingest_lose_nothing_and_everybody_is_whole_again(chaos: Chaos, tmp_path: Path) -> None:
    job = new_job()
    with stream_process(tmp_path) as replica:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, writers, recoveries = runner.run(_story(chaos, replica, job))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    writers.assert_exactly_once(log)
    assert audience.faults() == []
    assert {member.heard for member in audience.members} == {len(log)}
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    assert writers.resent > 0
    print(f"{len(recoveries)} kills, {len(audience.members)} listeners, {len(log)} events")
    for name, values in {
        "listening after start": [one.listening for one in recoveries],
        "acknowledging after start": [one.acknowledged for one in recoveries],
        "everybody whole after start": [one.whole for one in recoveries],
        "everybody whole after listening": [one.whole - one.listening for one in recoveries],
    }.items():
        print(f"{name}: p50 {median(values):.2f} s, max {max(values):.2f} s")
