"""MariaDB dies and comes back beneath a stream service that takes events in and gives them out."""

import asyncio
import signal
from pathlib import Path

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.outages import assert_is_an_outage
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Writers
from tests.databases import fresh_schema
from tests.integration.stream.client import StreamCaller, new_job
from tests.own_servers import OwnMariaDb, own_mariadb
from tests.stream_process import StreamProcess, stream_process
from tests.waiting import become

pytestmark = [pytest.mark.chaos, pytest.mark.mysql, pytest.mark.timeout(1_800)]


def _assert_says_so(replica: StreamProcess, job: str) -> None:
    with StreamCaller(replica.url) as caller:
        assert caller.http.get("/healthz").status_code == 200
        assert_is_an_outage(caller.http.get("/readyz"))
        assert_is_an_outage(caller.http.get(f"/v1/topics/job:{job}/events"))
        assert_is_an_outage(caller.http.get("/api/metrics/current", params={"job_id": job}))
        assert_is_an_outage(caller.http.get("/api/stream/metrics", params={"job_id": new_job()}))


async def _break(chaos: Chaos, database: OwnMariaDb, replica: StreamProcess, job: str) -> None:
    seeded = chaos.random
    for turn in range(chaos.count(2, 6)):
        await asyncio.sleep(seeded.uniform(0.5, 1.5))
        await asyncio.to_thread(database.kill, (signal.SIGKILL, signal.SIGTERM)[turn % 2])
        await asyncio.to_thread(_assert_says_so, replica, job)
        await asyncio.sleep(seeded.uniform(0.1, 1.5))
        await asyncio.to_thread(database.start)
        await become(replica.is_ready, 20)


async def _story(chaos: Chaos, database: OwnMariaDb, replica: StreamProcess, job: str) -> tuple[Audience, Writers]:
    seeded = chaos.random
    topic = f"job:{job}"
    async with (
        Audience(topic, chaos.size(50, 200), lambda: replica.port, seeded) as audience,
        Writers(topic, [lambda: replica.port], seeded, 0.05) as writers,
    ):
        await audience.have_heard(1, 20)
        await _break(chaos, database, replica, job)
        await writers.finish(30)
        await audience.have_ended(30)
    return audience, writers


def test_a_database_that_dies_costs_no_event_and_no_hand(chaos: Chaos, tmp_path: Path) -> None:
    job = new_job()
    with (
        own_mariadb(tmp_path / "mariadb") as database,
        fresh_schema(database.url) as schema,
        stream_process(tmp_path / "stream", schema) as replica,
    ):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, writers = runner.run(_story(chaos, database, replica, job))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    writers.assert_exactly_once(log)
    assert audience.faults() == []
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    assert writers.refusals
    for refusal in writers.refusals:
        assert_is_an_outage(refusal)
    reconnections = sum(member.connections - 1 for member in audience.members)
    print(f"{len(log)} events, {len(writers.refusals)} appends refused, {reconnections} listeners came again")
