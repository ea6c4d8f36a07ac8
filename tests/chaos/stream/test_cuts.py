"""Connections are cut again and again, in the middle of an event too, and every listener hears every event once."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Writers
from tests.chaos.stream.proxy import CuttingProxy
from tests.integration.stream.client import StreamCaller, new_job
from tests.stream_process import stream_process

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]


async def _story(chaos: Chaos, target: int, job: str, count: int) -> tuple[Audience, Writers, int]:
    seeded = chaos.random
    topic = f"job:{job}"
    async with CuttingProxy(target, seeded) as proxy:
        async with (
            Audience(topic, count, lambda: proxy.port, seeded) as audience,
            Writers(topic, [lambda: proxy.port], seeded, 0.05) as writers,
        ):
            await asyncio.sleep(chaos.seconds(4))
            await writers.finish(60)
            proxy.is_cutting = False
            await audience.have_ended(60)
        return audience, writers, proxy.cuts


@pytest.mark.parametrize(("handoff", "listeners"), [("true", 500), ("false", 100)], ids=["handoff", "asgi"])
def test_nothing_is_lost_or_heard_twice_through_a_proxy_that_cuts(
    chaos: Chaos, tmp_path: Path, handoff: str, listeners: int
) -> None:
    job = new_job()
    with stream_process(tmp_path, STREAM_HANDOFF=handoff, STREAM_RING_EVENTS="64") as replica:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, writers, cuts = runner.run(_story(chaos, replica.port, job, chaos.size(60, listeners)))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    assert audience.faults() == []
    assert {member.heard for member in audience.members} == {len(log)}
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    writers.assert_exactly_once(log)
    assert cuts > len(audience.members)
    assert sum(member.connections for member in audience.members) > 2 * len(audience.members)
    print(f"{len(audience.members)} listeners, {len(log)} events, {cuts} cuts, {writers.resent} appends sent again")
