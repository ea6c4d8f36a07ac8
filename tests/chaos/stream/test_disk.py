"""The disk beneath the log is full: refusals are clear, what was taken stays, and room is all it takes to go on."""

import asyncio
import resource
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import uvloop

from tests.chaos.conftest import Chaos
from tests.chaos.outages import assert_is_an_outage
from tests.chaos.stream.listeners import Audience, checksum_of
from tests.chaos.stream.producers import Producer, assert_exactly_once
from tests.integration.stream.client import StreamCaller, new_job
from tests.stream_process import StreamProcess, stream_process
from tests.waiting import become

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

_DISK_MB = 12


class Disk(Protocol):
    """What the log lies on."""

    folder: Path

    def fill(self, replica: StreamProcess) -> None:
        """Leave no room."""

    def free(self, replica: StreamProcess) -> None:
        """Make room again."""


class SmallDisk:
    """A file system of a few megabytes: writing to it fails with ENOSPC."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, replica: StreamProcess) -> None:
        with self._ballast.open("wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(bytes(4096))
            except OSError:
                pass

    def free(self, replica: StreamProcess) -> None:
        self._ballast.unlink()


class SmallFiles:
    """A limit on the size of the process's files, which needs no privilege: writing past it fails with EFBIG."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self, replica: StreamProcess) -> None:
        taken = max(path.stat().st_size for path in self.folder.iterdir())
        self._limit(replica, taken)

    def free(self, replica: StreamProcess) -> None:
        self._limit(replica, resource.RLIM_INFINITY)

    def _limit(self, replica: StreamProcess, size: int) -> None:
        hard = resource.prlimit(replica.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(replica.pid, resource.RLIMIT_FSIZE, (size, hard))


@contextmanager
def _small_disk(folder: Path) -> Iterator[SmallDisk]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system can be mounted by root only; the limit on file sizes is tested anyway")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["small disk", "small files"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk that can be full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "small files":
        yield SmallFiles(folder)
    else:
        with _small_disk(folder) as small:
            yield small


async def _story(chaos: Chaos, disk: Disk, replica: StreamProcess, job: str) -> tuple[Audience, list[Producer]]:
    seeded = chaos.random
    topic = f"job:{job}"
    producers = [Producer(topic, f"p{number}", lambda: replica.port, seeded) for number in range(3)]
    last = Producer(topic, "orchestrator", lambda: replica.port, seeded)
    is_over = asyncio.Event()
    async with Audience(topic, chaos.size(20, 200), lambda: replica.port, seeded) as audience:
        writing = [asyncio.create_task(producer.write_until(is_over, 0.02)) for producer in producers]
        await audience.have_heard(1, 20)
        for turn in range(chaos.count(2, 5)):
            refused = [len(producer.refusals) for producer in producers]
            disk.fill(replica)
            await become(lambda: all(len(p.refusals) > n for p, n in zip(producers, refused, strict=True)), 20)  # noqa: B023
            with StreamCaller(replica.url) as caller:
                assert caller.http.get("/healthz").status_code == 200
                assert caller.http.get(f"/v1/topics/{topic}/events", params={"limit": 1}).status_code == 200
            if turn == 1:
                await asyncio.to_thread(replica.kill)
                replica.begin()
            disk.free(replica)
            known = [producer.acknowledged for producer in producers]
            await become(lambda: all(p.acknowledged > n for p, n in zip(producers, known, strict=True)), 20)  # noqa: B023
        is_over.set()
        await asyncio.gather(*writing)
        await last.finish()
        await audience.have_ended(20)
    for producer in (*producers, last):
        await producer.close()
    return audience, producers


def test_a_full_disk_refuses_events_and_tears_nothing(chaos: Chaos, tmp_path: Path, disk: Disk) -> None:
    job = new_job()
    with stream_process(tmp_path / "logs", STREAM_DATA_DIR=str(disk.folder)) as replica:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, producers = runner.run(_story(chaos, disk, replica, job))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    with closing(sqlite3.connect(disk.folder / "stream.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert_exactly_once(log, producers)
    assert audience.faults() == []
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    refusals = [refusal for producer in producers for refusal in producer.refusals]
    for refusal in refusals:
        assert_is_an_outage(refusal)
    print(f"{len(log)} events, {len(refusals)} appends refused")
