"""MariaDB dies and comes back beneath a stream service that takes events in and gives them out."""

import asyncio
import signal
from pathlib import Path

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.outages import assert_is_an_outage
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Producer, assert_exactly_once
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


async def _story(
    chaos: Chaos, database: OwnMariaDb, replica: StreamProcess, job: str
) -> tuple[Audience, list[Producer]]:
    seeded = chaos.random
    topic = f"job:{job}"
    producers = [Producer(topic, f"p{number}", lambda: replica.port, seeded) for number in range(3)]
    last = Producer(topic, "orchestrator", lambda: replica.port, seeded)
    is_over = asyncio.Event()
    async with Audience(topic, chaos.size(50, 200), lambda: replica.port, seeded) as audience:
        writing = [asyncio.create_task(producer.write_until(is_over, 0.05)) for producer in producers]
        await audience.have_heard(1, 20)
        await _break(chaos, database, replica, job)
        is_over.set()
        async with asyncio.timeout(30):
            await asyncio.gather(*writing)
            await last.finish()
        await audience.have_ended(30)
    for producer in (*producers, last):
        await producer.close()
    return audience, producers


def test_a_database_that_dies_costs_no_event_and_no_hand(chaos: Chaos, tmp_path: Path) -> None:
    job = new_job()
    with (
        own_mariadb(tmp_path / "mariadb") as database,
        fresh_schema(database.url) as schema,
        stream_process(tmp_path / "stream", schema) as replica,
    ):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, producers = runner.run(_story(chaos, database, replica, job))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    assert_exactly_once(log, producers)
    assert audience.faults() == []
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    refusals = [refusal for producer in producers for refusal in producer.refusals]
    assert refusals
    for refusal in refusals:
        assert_is_an_outage(refusal)
    reconnections = sum(member.connections - 1 for member in audience.members)
    print(f"{len(log)} events, {len(refusals)} appends refused, {reconnections} listeners came again")
