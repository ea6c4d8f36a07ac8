"""SSE fan-out beside nginx + nchan and a queue-per-client server: server on core 0, load on core 1.

All take events as POSTs on kept connections; ours enter behind the append path's commit (`tests.bench.fanout_server`),
because the peers keep nothing on disk either.
"""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from shared.kit.auth import ServiceTokens
from shared.kit.ids import new_id
from tests.bench.table import Figure, median
from tests.conftest import SERVICE_SECRET
from tests.waiting import eventually

_NGINX = """
load_module {module};
worker_processes 1; worker_cpu_affinity 01; worker_rlimit_nofile 20000; daemon off;
pid {folder}/nginx.pid; error_log {folder}/error.log error;
events {{ worker_connections 16000; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 100000000; nchan_shared_memory_size 512m;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    nchan_subscriber_first_message oldest;
    location = /sub {{ nchan_subscriber eventsource; nchan_channel_id $arg_job_id; }}
    location = /pub {{ nchan_publisher; nchan_channel_id $arg_topic; nchan_message_buffer_length 2048; }}
  }}
}}
"""
_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_PATHS = {"nchan": "/sub?job_id=TOPIC"}
_DEFAULT_PATH = "/api/stream/metrics?job_id=TOPIC&after=0"
_DOOR = {"nchan": 0}
"""Ports between a server and the door its events come in by; nchan takes them where it gives them."""
_PAD = {"nchan": 331, "queue": 316}
"""What makes an event about 400 bytes on each one's wire; our own carries its envelope."""
_DEFAULT_PAD = 176


class Side:
    """A running server, and how it is spoken to."""

    def __init__(self, way: str, port: int, pid: int) -> None:
        self.way = way
        self.port = port
        self.pid = pid

    def measure(self, count: int, *, topics: int = 1, seconds: float = 2, **more: Any) -> dict[str, Any]:
        """One run of the reader and its publisher; fresh topics each time."""
        token = ServiceTokens("bench", SERVICE_SECRET).issue("stream")
        process = psutil.Process(self.pid)
        plan = {
            "port": self.port, "count": count, "topics": [new_id("job") for _ in range(topics)], "seconds": seconds,
            "pids": [self.pid, *(child.pid for child in process.children())], "patience_s": 5, "steps": 12,
            "headers": f"Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\n",
            "path": _PATHS.get(self.way, _DEFAULT_PATH), "door": _DOOR.get(self.way, 1),
            "pad": _PAD.get(self.way, _DEFAULT_PAD),
            **dict.fromkeys(("rate", "saturate_from", "missed", "is_blast"), 0), **more,
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.fanout_load"], input=json.dumps(plan), capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


def free_port() -> int:
    """A port that is free together with the next, below those that outgoing connections are given."""
    while True:
        port = random.randrange(20_000, 30_000, 2)
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", port))
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port


@contextmanager
def serving(way: str, folder: Path) -> Iterator[Side]:
    """`handoff`, `asgi`, `queue` or `nchan` on a port of its own."""
    port = free_port()
    home = folder / f"{way}-{port}"
    home.mkdir(parents=True)
    if way == "nchan":
        config = home / "nginx.conf"
        config.write_text(_NGINX.format(module=_MODULE, folder=home, port=port))
        command = [str(shutil.which("nginx")), "-p", str(home), "-c", str(config)]
    else:
        command = [sys.executable, "-m", "tests.bench.fanout_server", way, str(port), str(home)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
    try:
        eventually(lambda: _answers(port) or server.poll() is not None, within_s=30)
        if way == "nchan":
            eventually(lambda: psutil.Process(server.pid).children())
        assert server.poll() is None, (home / "log").read_text()
        yield Side(way, port, server.pid)
    finally:
        server.terminate()
        server.wait(30)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def has_nchan() -> bool:
    """Whether Debian's nginx and its nchan module are here."""
    return shutil.which("nginx") is not None and _MODULE.exists()


def _peers() -> list[str]:
    return ["nchan"] if has_nchan() else []


def _rounds(ways: Sequence[str], folder: Path, rounds: int, count: int, **ask: Any) -> dict[str, list[dict[str, Any]]]:
    """Each way in turn, several times: what disturbs the machine disturbs all."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way in ways:
            with serving(way, folder) as side:
                found[way].append(side.measure(count, **ask))
    return found


def load(folder: Path, rounds: int) -> list[Figure]:
    """The same load on each: 2,000 subscribers, 20 events a second."""
    found = _rounds(["handoff", *_peers()], folder, rounds, 2_000, rate=20, seconds=5)
    found |= _rounds(["asgi"], folder, 1, 2_000, rate=20, seconds=5)
    figures, medians = [], {}
    for way, runs in found.items():
        steps = [run["steps"][0] for run in runs]
        lost = sum(step["expected"] - step["received"] for step in steps)
        label = f"fan-out 2,000 × 20/s, {way}"
        for key, name, unit in (("p99_ms", "p99", "ms"), ("p50_ms", "p50", "ms"), ("cpu_s", "CPU of 5 s", "s")):
            samples = [step[key] for step in steps]
            medians[way, key] = median(samples)
            figures.append(Figure(f"{label}: {name}", median(samples), unit, samples=samples))
        figures += [
            Figure(f"{label}: bytes an event", median([step["bytes"] for step in steps]), "B"),
            Figure(f"{label}: reader busy", max(step["reader_busy"] for step in steps), "share"),
            Figure(f"{label}: lost", lost, "events", "0", lost == 0),
        ]
    for key, name in (("p99_ms", "p99"), ("cpu_s", "CPU")):
        for peer in _peers():
            ratio = medians["handoff", key] / medians[peer, key]
            figures.append(
                Figure(f"fan-out 2,000 × 20/s: {name}, ours / {peer}", ratio, "ratio", "≤ 0.9", ratio <= 0.9)
            )
    return figures


def _held(run: dict[str, Any], share: float) -> float:
    """The most deliveries a second with p99 below 100 ms and nothing lost; 0 when no rate was."""
    rates = [step["rate"] for step in run["steps"] if step["p99_ms"] < 100 and step["received"] >= step["expected"] > 0]
    return max(rates, default=0.0) * share


def _saturation(
    folder: Path, name: str, count: int, topics: int, firsts: dict[str, float], peer: str, goal: float
) -> list[Figure]:
    rates, figures = {}, []
    for way, first in firsts.items():
        if way == "nchan" and not has_nchan():
            continue
        with serving(way, folder) as side:
            run = side.measure(count, topics=topics, saturate_from=first)
        rates[way] = _held(run, count / topics)
        busy = max((step["reader_busy"] for step in run["steps"] if step["p99_ms"] < 100), default=0)
        figures += [
            Figure(f"fan-out saturation, {name}: {way}", rates[way], "1/s"),
            Figure(f"fan-out saturation, {name}: {way}: reader busy", busy, "share"),
        ]
    if rates.get(peer):
        ratio = rates["handoff"] / rates[peer]
        figures.append(Figure(f"fan-out saturation, {name}: ours / {peer}", ratio, "ratio", f"≥ {goal}", ratio >= goal))
    return figures


def saturation(folder: Path, _: int) -> list[Figure]:
    """The most that each bears on one topic, and how fast the reader reads when nothing else limits it."""
    with serving("blast", folder) as side:
        alone = side.measure(2_000, is_blast=1)["per_s"]
    return [
        Figure("fan-out: the reader alone, 2,000 sockets, 8 events a read", alone, "1/s"),
        *_saturation(folder, "2,000 on one topic", 2_000, 1, {"handoff": 300, "nchan": 30}, "nchan", 8),
    ]


def saturation_of_queues(folder: Path, _: int) -> list[Figure]:
    """The same beside a queue for each client, and through ASGI."""
    firsts = {"handoff": 500.0, "queue": 15.0, "asgi": 50.0}
    return _saturation(folder, "1,000 on one topic", 1_000, 1, firsts, "queue", 25)


def many_topics(folder: Path, _: int) -> list[Figure]:
    """The most that each bears with ten subscribers a topic."""
    firsts = {"handoff": 8_000.0, "nchan": 8_000.0}
    return _saturation(folder, "2,000 on 200 topics", 2_000, 200, firsts, "nchan", 1.2)


def storm(folder: Path, rounds: int) -> list[Figure]:
    """2,000 come back at once, each for 1,000 events that it missed."""
    found = _rounds(["handoff", *_peers()], folder, rounds, 2_000, missed=1_000)
    found |= _rounds(["asgi"], folder, 1, 2_000, missed=1_000)
    figures, seconds = [], {}
    for way, runs in found.items():
        seconds[way] = median([run["seconds"] for run in runs])
        lost = sum(run["expected"] - run["received"] for run in runs)
        figures += [
            Figure(f"fan-out, 2,000 come back: {way}", seconds[way], "s", samples=[run["seconds"] for run in runs]),
            Figure(f"fan-out, 2,000 come back: {way}: CPU", median([run["cpu_s"] for run in runs]), "s"),
            Figure(f"fan-out, 2,000 come back: {way}: lost", lost, "events", "0", lost == 0),
        ]
    for peer in _peers():
        ratio = seconds[peer] / seconds["handoff"]
        figures.append(Figure(f"fan-out, 2,000 come back: {peer} / ours", ratio, "ratio", "≥ 8", ratio >= 8))
    return figures


def idle(folder: Path, _: int) -> list[Figure]:
    """What 10,000 subscribers cost who hear nothing."""
    with serving("handoff", folder) as side:
        side.measure(100)
        each = side.measure(10_000)["rss_kb"]
    return [Figure("fan-out: RSS a subscriber, 10,000 idle", each, "kB", "≤ 40", each <= 40)]
