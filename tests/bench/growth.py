"""What grows with the number of topics and with the length of a log: latency, memory, processor time, replay."""

import asyncio
import http.client
import json
import os
import socket
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psutil

from services.stream.log.entries import Entry
from services.stream.log.numbering import Append
from services.stream.log.transaction import apply
from services.stream.wiring import MIGRATIONS
from shared.kit.sql import Database, open_engine
from tests.bench.table import Figure, percentile
from tests.databases import migrated
from tests.integration.stream.client import NOW, new_job, service_token
from tests.stream_process import StreamProcess
from tests.waiting import become

_TOPICS = (1, 10, 100, 1_000)
_RATE = 100
_SECONDS = 6.0
_EVENTS = 1_000_000
_AT_ONCE = 5_000
_PAGE = 1_000
_PAD = "x" * 190


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[StreamProcess, psutil.Process]]:
    """The service on core 0; this process keeps to core 1."""
    command = ("taskset", "-c", "0", sys.executable, "-m", "services.stream")
    replica = StreamProcess(folder, environment={"IMTS_LOG_LEVEL": "WARNING"}, command=command)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {1})
    try:
        replica.start()
        yield replica, psutil.Process(replica.pid)
    finally:
        replica.end()
        os.sched_setaffinity(0, before)


def _head(path: str) -> str:
    return f"{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service_token()}\r\n"


class _Ear(asyncio.Protocol):
    """One listener: the delays of what it hears, from the time each event was due."""

    def __init__(self, delays: list[float]) -> None:
        self._delays = delays
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        now = time.time()
        self._delays += [now - json.loads(line[6:])["data"]["at"] for line in lines if line.startswith(b"data: ")]


class _Publisher:
    """Appends over kept connections, those to one topic in order."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[http.client.HTTPConnection] = []
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._sent: Counter[str] = Counter()

    async def publish(self, topic: str, due: float) -> None:
        """Append one event that says when it was due."""
        async with self._turns[topic]:
            self._sent[topic] += 1
            await asyncio.to_thread(self._post, topic, self._sent[topic], due)

    def _post(self, topic: str, number: int, due: float) -> None:
        event = {"event_type": "metrics_update", "timestamp": NOW, "data": {"step": number, "at": due, "pad": _PAD}}
        body = json.dumps({"producer": "p", "first_seq": number, "events": [event]})
        headers = {"authorization": f"Bearer {service_token()}", "content-type": "application/json"}
        caller = self._idle.pop() if self._idle else http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        caller.request("POST", f"/v1/topics/{topic}/events", body, headers)
        answer = caller.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        self._idle.append(caller)

    def close(self) -> None:
        """Hang up."""
        for caller in self._idle:
            caller.close()


async def _hear(port: int, topics: list[str]) -> list[float]:
    """Delays of `_RATE` events a second over `topics`, each with a listener."""
    loop = asyncio.get_running_loop()
    delays: list[float] = []
    ears = []
    for topic in topics:
        transport, _ = await loop.create_connection(lambda: _Ear(delays), "127.0.0.1", port)
        transport.write((_head(f"GET /v1/topics/{topic}/stream") + "\r\n").encode())
        ears.append(transport)
    # The first round makes the topics; everybody listens by the time it is heard.
    publisher = _Publisher(port)
    for topic in topics:
        await publisher.publish(topic, time.time())
    await become(lambda: len(delays) == len(topics), 60)
    delays.clear()
    began = time.time() + 0.1
    sending = []
    count = int(_RATE * _SECONDS)
    for number in range(count):
        due = began + number / _RATE
        await asyncio.sleep(max(0.0, due - time.time()))
        sending.append(asyncio.create_task(publisher.publish(topics[number % len(topics)], due)))
    await asyncio.gather(*sending)
    await become(lambda: len(delays) == count, 60)
    for ear in ears:
        ear.close()
    publisher.close()
    return delays


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _topics(folder: Path) -> list[Figure]:
    figures = []
    for count in _TOPICS:
        with _serving(folder / f"topics-{count}") as (replica, process):
            idle = process.memory_info().rss
            spent = _cpu(process)
            delays = asyncio.run(_hear(replica.port, [f"job:{new_job()}" for _ in range(count)]))
            spent = _cpu(process) - spent
            grown = (process.memory_info().rss - idle) / 1e6
        name = f"{count} topics, a listener each, {_RATE} events/s"
        figures += [
            Figure(f"{name}: publish to receive p50", percentile(delays, 0.5) * 1000, "ms"),
            Figure(f"{name}: publish to receive p99", percentile(delays, 0.99) * 1000, "ms"),
            Figure(f"{name}: RSS growth", grown, "MB"),
            Figure(f"{name}: processor time an event", spent / (len(delays) + count) * 1e6, "µs"),
        ]
    return figures


def _fill(folder: Path, topic: str) -> None:
    """A log of `_EVENTS` events, by the transaction that takes appends in."""
    folder.mkdir(parents=True)
    url = f"sqlite:///{folder / 'stream.db'}"
    migrated(url, MIGRATIONS)
    engine = open_engine(url, 1)
    database = Database(engine)
    data = json.dumps({"step": 1, "train_loss": 0.5, "pad": _PAD}, separators=(",", ":"))
    entry = Entry("log", 1, None, datetime.now(UTC), data, ends_topic=False, figures=None)
    for first in range(1, _EVENTS + 1, _AT_ONCE):
        run = Append(topic, "p", first, (entry,) * _AT_ONCE)
        database.write(lambda session: apply(session, [run]))  # noqa: B023
    engine.dispose()


class _Watch:
    """The most a process has held since it was looked at first."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._began = self.most = process.memory_info().rss

    def look(self) -> None:
        self.most = max(self.most, self._process.memory_info().rss)

    @property
    def grown_mb(self) -> float:
        return (self.most - self._began) / 1e6


def _by_sse(port: int, topic: str, watch: _Watch) -> float:
    began = time.monotonic()
    heard, tail = 0, b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as raw:
        raw.sendall((_head(f"GET /v1/topics/{topic}/stream") + "\r\n").encode())
        while heard < _EVENTS:
            data = raw.recv(1024 * 1024)
            assert data, f"cut after {heard}"
            heard += (tail + data).count(b"\nid: ")
            tail = data[-4:]
            watch.look()
    return _EVENTS / (time.monotonic() - began)


def _by_pages(port: int, topic: str, watch: _Watch) -> float:
    began = time.monotonic()
    caller = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    after = 0
    while after < _EVENTS:
        headers = {"authorization": f"Bearer {service_token()}"}
        caller.request("GET", f"/v1/topics/{topic}/events?after={after}&limit={_PAGE}", headers=headers)
        page = caller.getresponse().read()
        after += page.count(b'"seq":')
        watch.look()
    caller.close()
    return _EVENTS / (time.monotonic() - began)


def _replay(folder: Path) -> list[Figure]:
    topic = f"job:{new_job()}"
    _fill(folder, topic)
    figures = []
    for name, read in (("one SSE client", _by_sse), (f"REST pages of {_PAGE}", _by_pages)):
        with _serving(folder) as (replica, process):
            watch = _Watch(process)
            rate = read(replica.port, topic, watch)
            figures += [
                Figure(f"replay of {_EVENTS} events, {name}", rate, "events/s"),
                Figure(f"replay of {_EVENTS} events, {name}: RSS growth", watch.grown_mb, "MB"),
            ]
    return figures


def measure(folder: Path) -> list[Figure]:
    """Topics first, then the long log."""
    return _topics(folder) + _replay(folder / "replay")
