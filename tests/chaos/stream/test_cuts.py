"""Connections are cut again and again, in the middle of an event too, and every listener hears every event once."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Producer, assert_exactly_once
from tests.chaos.stream.proxy import CuttingProxy
from tests.integration.stream.client import StreamCaller, new_job
from tests.stream_process import stream_process

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]


async def _story(chaos: Chaos, target: int, job: str, count: int) -> tuple[Audience, list[Producer], int]:
    seeded = chaos.random
    topic = f"job:{job}"
    async with CuttingProxy(target, seeded) as proxy:
        producers = [Producer(topic, f"p{number}", lambda: proxy.port, seeded) for number in range(3)]
        last = Producer(topic, "orchestrator", lambda: proxy.port, seeded)
        async with Audience(topic, count, lambda: proxy.port, seeded) as audience:
            is_over = asyncio.Event()
            asyncio.get_running_loop().call_later(chaos.seconds(4), is_over.set)
            async with asyncio.timeout(chaos.seconds(4) + 60):
                await asyncio.gather(*(producer.write_until(is_over, 0.05) for producer in producers))
                await last.finish()
            proxy.is_cutting = False
            await audience.have_ended(within_s=60)
        for producer in (*producers, last):
            await producer.close()
        return audience, producers, proxy.cuts


@pytest.mark.parametrize(("handoff", "listeners"), [("true", 500), ("false", 100)], ids=["handoff", "asgi"])
def test_nothing_is_lost_or_heard_twice_through_a_proxy_that_cuts(
    chaos: Chaos, tmp_path: Path, handoff: str, listeners: int
) -> None:
    job = new_job()
    with stream_process(tmp_path, STREAM_HANDOFF=handoff, STREAM_RING_EVENTS="64") as replica:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, producers, cuts = runner.run(_story(chaos, replica.port, job, chaos.size(60, listeners)))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    assert audience.faults() == []
    assert {member.heard for member in audience.members} == {len(log)}
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    assert_exactly_once(log, producers)
    assert cuts > len(audience.members)
    assert sum(member.connections for member in audience.members) > 2 * len(audience.members)
    print(f"{len(audience.members)} listeners, {len(log)} events, {cuts} cuts, "
          f"{sum(producer.resent for producer in producers)} appends sent again")  # fmt: skip
