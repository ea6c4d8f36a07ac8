"""The load client of `tests.bench.fanout`, on core 1: listeners on raw sockets and epoll, and the publisher.

Run as `python -m tests.bench.fanout_load`; one JSON plan on standard input, one JSON result on standard output.
"""

import contextlib
import json
import os
import re
import resource
import select
import socket
import sys
import time
from typing import Any

_MARK = re.compile(rb'"at":([0-9.]+),')
_READ = 256 * 1024


class Listeners:
    """Counts events and, where asked, their delays from the intended time, which each event carries."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.address = ("127.0.0.1", plan["port"])
        self.epoll = select.epoll()
        self.by_fd: dict[int, socket.socket] = {}
        self.tails: dict[int, bytes] = {}
        # Read into one buffer: to allocate one a read would make this client the limit.
        buffer = bytearray(_READ)
        self.into, self.view = [buffer], memoryview(buffer)
        self.received = 0
        self.delays: list[tuple[float, int]] = []

    def open(self) -> None:
        """Connect all; a few hundred at a time, each until its response head is here."""
        topics = self.plan["topics"]
        for place in range(self.plan["count"]):
            one = socket.create_connection(self.address)
            path = self.plan["path"].replace("TOPIC", topics[place % len(topics)])
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{self.plan['headers']}\r\n".encode())
            one.setblocking(False)
            self.by_fd[one.fileno()] = one
            self.tails[one.fileno()] = b""
            self.epoll.register(one.fileno(), select.EPOLLIN)
            if place % 50 == 49:
                self.read(0)

    def wait_for_heads(self, within_s: float) -> None:
        """Until every listener has been answered."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not all(self.tails.values()):
            self.read(0.05)
        assert all(self.tails.values()), f"{sum(not tail for tail in self.tails.values())} listeners unanswered"

    def read(self, wait_s: float) -> None:
        """Take what is there."""
        for fd, _ in self.epoll.poll(wait_s, 512):
            try:
                size = os.readv(fd, self.into)
            except BlockingIOError:
                continue
            except OSError:
                size = 0
            if not size:
                self.epoll.unregister(fd)
                continue
            self._count(fd, bytes(self.view[:size]))

    def _count(self, fd: int, data: bytes) -> None:
        found = data.count(b'"at":')
        # A mark that two reads share.
        if b'"at":' in self.tails[fd] + data[:4]:
            found += 1
        self.tails[fd] = data[-4:]
        self.received += found
        if found and (oldest := _MARK.search(data)):
            # The oldest event of a read stands for all of it, which never flatters.
            self.delays.append((time.time() - float(oldest[1]), found))


class Publisher:
    """Open loop: events go out when they are due, however late the answers are."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.socket = socket.create_connection(("127.0.0.1", plan["port"] + plan["door"]))
        self.socket.setblocking(False)
        self.backlog = b""
        self.sent = 0

    def publish(self, events: int, topic: str, due: float) -> None:
        """Have `events` sent to `topic`."""
        body = json.dumps({"at": round(due, 6), "pad": "x" * self.plan["pad"]}, separators=(",", ":")).encode()
        if self.plan["door"]:
            self.backlog += (topic.encode() + b"\t" + body + b"\n") * events
        else:
            head = f"POST /pub?topic={topic} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            self.backlog += (head.encode() + body) * events
        self.sent += events
        self.flush()

    def flush(self) -> None:
        """Write what fits, and drop the answers."""
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(65_536):
                pass
        if self.backlog:
            with contextlib.suppress(BlockingIOError):
                self.backlog = self.backlog[self.socket.send(self.backlog) :]


def run(plan: dict[str, Any]) -> dict[str, Any]:
    """What the plan asks for: a storm, an idle crowd, or events at each of `rates` until one is too much."""
    listeners = Listeners(plan)
    publisher = Publisher(plan)
    if plan["missed"]:
        return _storm(listeners, publisher, plan)
    idle = _rss(plan["pids"])
    listeners.open()
    listeners.wait_for_heads(plan["patience_s"])
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        listeners.read(0.05)
    grown = (_rss(plan["pids"]) - idle) / len(listeners.by_fd)
    steps = []
    for rate in plan["rates"]:
        steps.append(_step(listeners, publisher, plan, rate))
        if steps[-1]["received"] < steps[-1]["expected"] or steps[-1]["p99_ms"] >= 100:
            break
    return {"rss_kb": grown / 1000, "steps": steps}


def _step(listeners: Listeners, publisher: Publisher, plan: dict[str, Any], rate: float) -> dict[str, Any]:
    listeners.received, listeners.delays = 0, []
    cpu = _cpu(plan["pids"])
    expected = _publish(listeners, publisher, plan, rate) * plan["count"] // len(plan["topics"])
    deadline = time.monotonic() + plan["patience_s"]
    while listeners.received < expected and time.monotonic() < deadline:
        publisher.flush()
        listeners.read(0.02)
    listeners.delays.sort()
    return {
        "rate": rate, "expected": expected, "received": listeners.received, "cpu_s": _cpu(plan["pids"]) - cpu,
        "p50_ms": _at(listeners.delays, 0.5) * 1000, "p99_ms": _at(listeners.delays, 0.99) * 1000,
    }  # fmt: skip


def _publish(listeners: Listeners, publisher: Publisher, plan: dict[str, Any], rate: float) -> int:
    topics = plan["topics"]
    # Whole rounds, so that every topic gets as many events as any other.
    total = max(1, round(rate * plan["seconds"] / len(topics))) * len(topics)
    began, sent = time.time() + 0.01, 0
    while sent < total:
        while (wait := began + sent / rate - time.time()) > 0:
            listeners.read(min(wait, 0.002))
        ready = min(int((time.time() - began) * rate) + 1 - sent, total - sent, 64)
        if len(topics) == 1:
            publisher.publish(ready, topics[0], began + sent / rate)
        else:
            for place in range(sent, sent + ready):
                publisher.publish(1, topics[place % len(topics)], began + place / rate)
        sent += ready
        publisher.flush()
        listeners.read(0)
    return sent


def _storm(listeners: Listeners, publisher: Publisher, plan: dict[str, Any]) -> dict[str, Any]:
    # One listener keeps the topic in memory while nobody else is there.
    keeper = Listeners({**plan, "count": 1})
    keeper.open()
    keeper.wait_for_heads(5)
    # Through ASGI the head comes before the subscription.
    time.sleep(0.3)
    for _ in range(plan["missed"] // 50):
        publisher.publish(50, plan["topics"][0], time.time())
        keeper.read(0.01)
    deadline = time.monotonic() + plan["patience_s"]
    while keeper.received < plan["missed"]:
        assert time.monotonic() < deadline, "the topic never filled"
        publisher.flush()
        keeper.read(0.05)
    began = time.monotonic()
    listeners.open()
    expected = plan["count"] * plan["missed"]
    while listeners.received < expected and time.monotonic() - began < plan["patience_s"]:
        listeners.read(0.05)
    return {"expected": expected, "received": listeners.received, "seconds": time.monotonic() - began}


def _at(delays: list[tuple[float, int]], share: float) -> float:
    left = share * sum(count for _, count in delays)
    for delay, count in delays:
        left -= count
        if left <= 0:
            return delay
    return float("inf")


def _rss(pids: list[int]) -> int:
    pages = 0
    for pid in pids:
        with open(f"/proc/{pid}/statm") as stat:
            pages += int(stat.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _cpu(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    os.sched_setaffinity(0, {1})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(json.dumps(run(json.loads(sys.stdin.read()))))
    sys.stdout.flush()
    os._exit(0)
