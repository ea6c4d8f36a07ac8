"""SSE fan-out beside nginx + nchan and a queue-per-client server: server on core 0, load on core 1.

Our events enter behind the append path's commit (`tests.bench.fanout_server`): SQL is not what is measured here.
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
from tests.bench.table import Figure
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
_OURS = {"path": "/api/stream/metrics?job_id=TOPIC&after=0", "door": 1, "pad": 190}
_THEIRS = {"path": "/sub?job_id=TOPIC", "door": 0, "pad": 300}


class Side:
    """A running server, and how it is spoken to."""

    def __init__(self, way: str, port: int, pid: int) -> None:
        self.way = way
        self.port = port
        self.pid = pid

    def measure(self, count: int, *, topics: int = 1, rates: Sequence[float] = (), missed: int = 0) -> dict[str, Any]:
        """One run of the load client; fresh topics each time."""
        token = ServiceTokens("bench", SERVICE_SECRET).issue("stream")
        process = psutil.Process(self.pid)
        plan = {
            "port": self.port, "count": count, "rates": list(rates), "missed": missed, "seconds": 1.5, "patience_s": 10,
            "topics": [new_id("job") for _ in range(topics)], "pids": [self.pid, *(c.pid for c in process.children())],
            "headers": f"Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\n",
            **(_THEIRS if self.way == "nchan" else _OURS),
        }  # fmt: skip
        if self.way == "queue":
            plan["pad"] = 330
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.fanout_load"], input=json.dumps(plan), capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def saturation(self, count: int, first: float, factor: float, *, topics: int = 1) -> float:
        """The highest rate of deliveries a second whose p99 stays below 100 ms with nothing lost; 0 when none does."""
        steps = self.measure(count, topics=topics, rates=[first * factor**step for step in range(9)])["steps"]
        held = [step for step in steps if step["p99_ms"] < 100 and step["received"] == step["expected"]]
        return held[-1]["rate"] * count / topics if held else 0.0


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


def _with_each(ways: Sequence[str], folder: Path, ask: dict[str, Any], count: int) -> dict[str, dict[str, Any]]:
    found = {}
    for way in ways:
        with serving(way, folder) as side:
            found[way] = side.measure(count, **ask)
    return found


def measure(folder: Path) -> list[Figure]:
    """Every figure of the fan-out; without nchan, ours alone."""
    peers = ["nchan"] if has_nchan() else []
    figures = [] if peers else [Figure("fan-out: nginx + nchan is absent, so no ratio to it", 0, "")]
    figures += _same_load(_with_each(["handoff", *peers, "asgi"], folder, {"rates": [20]}, 2_000))
    figures += _saturations(folder, bool(peers))
    storm = _with_each(["handoff", *peers, "asgi"], folder, {"missed": 1_000}, 2_000)
    figures += _storms(storm)
    with serving("handoff", folder) as side:
        side.measure(100)
        each = side.measure(10_000)["rss_kb"]
    return [*figures, Figure("fan-out: RSS a subscriber, 10,000 idle", each, "kB", "≤ 40", each <= 40)]


def _same_load(found: dict[str, dict[str, Any]]) -> list[Figure]:
    figures = []
    for way, run in found.items():
        step = run["steps"][0]
        label = f"fan-out 2,000 × 20/s, {way}"
        figures += [
            Figure(f"{label}: p99", step["p99_ms"], "ms"),
            Figure(f"{label}: CPU", step["cpu_s"], "s"),
            Figure(
                f"{label}: lost",
                step["expected"] - step["received"],
                "events",
                "0",
                step["expected"] == step["received"],
            ),
        ]
    if "nchan" in found:
        ours, theirs = found["handoff"]["steps"][0], found["nchan"]["steps"][0]
        for name, key in (("p99", "p99_ms"), ("CPU", "cpu_s")):
            ratio = ours[key] / theirs[key]
            figures.append(Figure(f"fan-out 2,000 × 20/s: {name}, ours / nchan", ratio, "ratio", "≤ 0.9", ratio <= 0.9))
    return figures


_SATURATIONS: dict[str, tuple[int, int, dict[str, float], str, float]] = {
    "2,000 on one topic": (2_000, 1, {"handoff": 100, "nchan": 15, "asgi": 4}, "nchan", 8),
    "1,000 on one topic": (1_000, 1, {"handoff": 150, "queue": 4}, "queue", 25),
    "2,000 on 200 topics": (2_000, 200, {"handoff": 2_000, "nchan": 2_000}, "nchan", 1.2),
}


def _saturations(folder: Path, has_peer: bool) -> list[Figure]:
    figures = []
    for name, (count, topics, firsts, peer, goal) in _SATURATIONS.items():
        rates = {}
        for way, first in firsts.items():
            if way == "nchan" and not has_peer:
                continue
            with serving(way, folder) as side:
                rates[way] = side.saturation(count, first, 1.4, topics=topics)
            figures.append(Figure(f"fan-out saturation, {name}: {way}", rates[way], "1/s"))
        if rates.get(peer):
            ratio = rates["handoff"] / rates[peer]
            figures.append(
                Figure(f"fan-out saturation, {name}: ours / {peer}", ratio, "ratio", f"≥ {goal}", ratio >= goal)
            )
    return figures


def _storms(found: dict[str, dict[str, Any]]) -> list[Figure]:
    figures = []
    for way, run in found.items():
        figures += [
            Figure(f"fan-out, 2,000 come back for 1,000 events each: {way}", run["seconds"], "s"),
            Figure(f"fan-out, 2,000 come back: {way}: lost", run["expected"] - run["received"], "events"),
        ]
    if "nchan" in found:
        ratio = found["nchan"]["seconds"] / found["handoff"]["seconds"]
        figures.append(Figure("fan-out, 2,000 come back: nchan / ours", ratio, "ratio", "≥ 8", ratio >= 8))
    return figures
