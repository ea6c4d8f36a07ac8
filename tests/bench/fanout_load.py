"""The reader of `tests.bench.fanout`, on core 1: listeners on raw sockets and epoll.

Run as `python -m tests.bench.fanout_load`; one JSON plan on standard input, one JSON result on standard output.
"""

import json
import os
import re
import resource
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_AT = re.compile(rb'"at":([0-9.]+),')
_MARK = b"~"
_READ = 512 * 1024
_TOO_LATE_S = 0.1


class Listeners:
    """Counts events and, for a sample of the reads, their delay from the intended time, which each event carries."""

    def __init__(self, plan: dict[str, Any], count: int) -> None:
        self._plan = plan
        self.count = count
        self._epoll = select.epoll()
        self._sockets: list[socket.socket] = []
        self._unanswered: set[int] = set()
        # Read into one buffer: to allocate one a read would make this client the limit.
        self._buffer = bytearray(_READ)
        self._into = [self._buffer]
        self.reads = self.received = self.bytes = 0
        self.sample_every = 1
        self.delays: list[tuple[float, int]] = []

    def open(self) -> None:
        """Connect all and ask."""
        topics = self._plan["topics"]
        for place in range(self.count):
            one = socket.create_connection(("127.0.0.1", self._plan["port"]))
            path = self._plan["path"].replace("TOPIC", topics[place % len(topics)])
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{self._plan['headers']}\r\n".encode())
            one.setblocking(False)
            self._sockets.append(one)
            self._unanswered.add(one.fileno())
            self._epoll.register(one.fileno(), select.EPOLLIN)
            if place % 50 == 49:
                self.read(0)

    def wait_for_heads(self, within_s: float) -> None:
        """Until every listener has been answered, and a moment more: through ASGI the head comes before the place."""
        self.read_until(lambda: not self._unanswered, within_s)
        assert not self._unanswered, f"{len(self._unanswered)} listeners unanswered"
        self.read_until(lambda: False, 0.5)

    def read_until(self, is_done: Any, within_s: float) -> None:
        """Take what comes."""
        deadline = time.monotonic() + within_s
        while not is_done() and time.monotonic() < deadline:
            self.read(0.02)

    def read(self, wait_s: float) -> None:
        """Take what is there."""
        buffer, into, readv = self._buffer, self._into, os.readv
        for fd, _ in self._epoll.poll(wait_s, self.count):
            try:
                size = readv(fd, into)
            except OSError:
                size = 0
            if not size:
                self._epoll.unregister(fd)
                continue
            if self._unanswered:
                self._unanswered.discard(fd)
            found = buffer.count(_MARK, 0, size)
            self.received += found
            self.bytes += size
            self.reads += 1
            if found and self.reads % self.sample_every == 0 and (oldest := _AT.search(buffer, 0, size)):
                # The oldest event of a read stands for all of it, which never flatters.
                self.delays.append((time.time() - float(oldest[1]), found))


class PublisherProcess:
    """`tests.bench.fanout_publisher`, and whether it has sent everything."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.fanout_publisher"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._say(plan)
        self._answer = b""
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    def _say(self, words: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        self._process.stdin.flush()

    def begin(self, rate: float, seconds: float) -> None:
        """Have it publish."""
        self._say({"rate": rate, "seconds": seconds})

    def sent(self) -> int:
        """How many events it sent; 0 while it is at it."""
        assert self._process.stdout is not None
        assert self._process.poll() is None, "the publisher is gone"
        self._answer += self._process.stdout.read() or b""
        if not self._answer.endswith(b"\n"):
            return 0
        count, self._answer = int(self._answer), b""
        return count

    def end(self) -> None:
        """No more."""
        self._process.kill()
        self._process.wait()


class Run:
    """One server under one plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.listeners = Listeners(plan, plan["count"])
        self.publisher = PublisherProcess(plan)

    def connect(self) -> float:
        """All listeners, idle; answers how many bytes of memory each costs."""
        before = _rss(self.plan["pids"])
        self.listeners.open()
        self.listeners.wait_for_heads(20)
        return (_rss(self.plan["pids"]) - before) / self.listeners.count

    def step(self, rate: float, seconds: float) -> dict[str, Any]:
        """Events at one rate: what came of them."""
        reader = self.listeners
        reader.received = reader.bytes = reader.reads = 0
        reader.delays = []
        reader.sample_every = 1 if rate * reader.count / len(self.plan["topics"]) < 50_000 else 7
        cpu, mine, began = _cpu(self.plan["pids"]), _cpu([os.getpid()]), time.monotonic()
        self.publisher.begin(rate, seconds)
        deadline = began + seconds + self.plan["patience_s"]
        sent = 0
        while time.monotonic() < deadline:
            reader.read(0.02)
            sent = sent or self.publisher.sent()
            if sent and reader.received >= sent * reader.count // len(self.plan["topics"]):
                break
        expected = sent * reader.count // len(self.plan["topics"])
        reader.delays.sort()
        return {
            "rate": rate, "expected": expected, "received": reader.received, "reads": reader.reads,
            "bytes": reader.bytes / max(1, reader.received), "cpu_s": _cpu(self.plan["pids"]) - cpu,
            "reader_busy": (_cpu([os.getpid()]) - mine) / (time.monotonic() - began),
            "p50_ms": _at(reader.delays, 0.5) * 1000, "p99_ms": _at(reader.delays, 0.99) * 1000,
        }  # fmt: skip

    def saturation(self, first: float) -> list[dict[str, Any]]:
        """Steps up until one is too much, then closer to where it was."""
        steps: list[dict[str, Any]] = []
        good = bad = 0.0
        while len(steps) < self.plan["steps"]:
            rate = first if not steps else (good * bad) ** 0.5 if good and bad else good * 1.35 if good else bad / 1.8
            steps.append(self.step(rate, self.plan["seconds"]))
            if steps[-1]["received"] >= steps[-1]["expected"] > 0 and steps[-1]["p99_ms"] < _TOO_LATE_S * 1000:
                good = rate
            else:
                bad = rate
            if good and bad and bad / good < 1.06:
                break
        return steps


def _storm(run: Run) -> dict[str, Any]:
    # One listener keeps the topic in memory while nobody else is there.
    missed = run.plan["missed"]
    keeper = Listeners(run.plan, 1)
    keeper.open()
    keeper.wait_for_heads(5)
    run.publisher.begin(5_000, missed / 5_000)
    keeper.read_until(lambda: keeper.received >= missed, 20)
    assert keeper.received == missed, "the topic never filled"
    run.listeners.sample_every = 1 << 60
    cpu, began = _cpu(run.plan["pids"]), time.monotonic()
    run.listeners.open()
    expected = run.plan["count"] * missed
    run.listeners.read_until(lambda: run.listeners.received >= expected, 60)
    seconds = time.monotonic() - began
    return {
        "expected": expected, "received": run.listeners.received, "seconds": seconds,
        "cpu_s": _cpu(run.plan["pids"]) - cpu,
    }  # fmt: skip


def _blast(run: Run) -> dict[str, Any]:
    run.listeners.sample_every = 7
    run.listeners.open()
    run.listeners.read_until(lambda: False, 1)
    run.listeners.received = 0
    began = time.monotonic()
    run.listeners.read_until(lambda: False, run.plan["seconds"])
    return {"per_s": run.listeners.received / (time.monotonic() - began)}


def measure(plan: dict[str, Any]) -> dict[str, Any]:
    """What the plan asks for: a storm, the reader alone, an idle crowd, a load, or the most a server bears."""
    run = Run(plan)
    try:
        if plan["missed"]:
            return _storm(run)
        if plan["is_blast"]:
            return _blast(run)
        found: dict[str, Any] = {"rss_kb": run.connect() / 1000}
        if plan["saturate_from"]:
            found["steps"] = run.saturation(plan["saturate_from"])
        elif plan["rate"]:
            found["steps"] = [run.step(plan["rate"], plan["seconds"])]
        return found
    finally:
        run.publisher.end()


def _at(delays: list[tuple[float, int]], share: float) -> float:
    left = share * sum(count for _, count in delays)
    for delay, count in delays:
        left -= count
        if left <= 0:
            return delay
    return float("inf")


def _rss(pids: list[int]) -> int:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu(pids: list[int]) -> float:
    """Seconds on a processor, all threads, to the nanosecond."""
    tasks = [task for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


if __name__ == "__main__":
    os.sched_setaffinity(0, {1})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(measure(json.loads(sys.stdin.read()))))
    sys.stdout.flush()
    os._exit(0)
