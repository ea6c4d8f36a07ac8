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
from tests.chaos.stream.producers import Writers
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


async def _fill_and_free(disk: Disk, replica: StreamProcess, writers: Writers, *, kill: bool) -> None:
    refused = [len(member.refusals) for member in writers.members]
    disk.fill(replica)
    await become(lambda: all(len(one.refusals) > n for one, n in zip(writers.members, refused, strict=True)), 20)
    with StreamCaller(replica.url) as caller:
        assert caller.http.get("/healthz").status_code == 200
        assert caller.http.get(f"/v1/topics/{writers.topic}/events").status_code == 200
    if kill:
        await asyncio.to_thread(replica.kill)
        replica.begin()
    disk.free(replica)
    known = writers.acknowledged
    await become(lambda: all(now > n for now, n in zip(writers.acknowledged, known, strict=True)), 20)


async def _story(chaos: Chaos, disk: Disk, replica: StreamProcess, job: str) -> tuple[Audience, Writers]:
    seeded = chaos.random
    topic = f"job:{job}"
    async with (
        Audience(topic, chaos.size(20, 200), lambda: replica.port, seeded) as audience,
        Writers(topic, [lambda: replica.port], seeded, 0.02) as writers,
    ):
        await audience.have_heard(1, 20)
        for turn in range(chaos.count(2, 5)):
            await _fill_and_free(disk, replica, writers, kill=turn == 1)
        await writers.finish(20)
        await audience.have_ended(20)
    return audience, writers


def test_a_full_disk_refuses_events_and_tears_nothing(chaos: Chaos, tmp_path: Path, disk: Disk) -> None:
    job = new_job()
    with stream_process(tmp_path / "logs", STREAM_DATA_DIR=str(disk.folder)) as replica:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            audience, writers = runner.run(_story(chaos, disk, replica, job))
        with StreamCaller(replica.url) as caller:
            log = caller.log(job)
    with closing(sqlite3.connect(disk.folder / "stream.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    writers.assert_exactly_once(log)
    assert audience.faults() == []
    assert {member.checksum for member in audience.members} == {checksum_of(log)}
    for refusal in writers.refusals:
        assert_is_an_outage(refusal)
    print(f"{len(log)} events, {len(writers.refusals)} appends refused")
