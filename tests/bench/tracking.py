"""What `run.log` costs a training loop, with the stream service there and away, and when others can read it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from imts.client.transport import Transport
from imts.tracking import Run, start
from shared.contracts.events import EventPage
from shared.kit.auth import ServiceTokens
from tests.bench.table import Figure, median, percentile
from tests.conftest import SERVICE_SECRET
from tests.waiting import eventually

CALLS = 2_000
_STEP_S = 0.002
_SERVER = """
import sys
from pathlib import Path
from services.stream.app import create_app
from tests.integration.stream.conftest import settings_for
from tests.live_server import live_server
with live_server(create_app(settings_for("", Path(sys.argv[1])))) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


def _values(step: int) -> dict[str, object]:
    return {
        "train_loss": 1.0 / (step + 1), "train_accuracy": 0.9, "learning_rate": 1e-3, "epoch": step / 100,
        "training_speed": 120.5, "advanced_metrics": {"gradient_norm": 1.5, "weight_norm": 20.0},
    }  # fmt: skip


def _calls(run: Run, pause_s: float, *, holds_lock: bool = True) -> list[float]:
    """Microseconds of each call, from a loop that works `pause_s` between two, in Python or (as torch does) outside."""
    samples = []
    for step in range(CALLS):
        began = time.perf_counter()
        run.log(_values(step), step=step)
        ended = time.perf_counter()
        samples.append((ended - began) * 1e6)
        while holds_lock and time.perf_counter() - ended < pause_s:
            pass
        if not holds_lock:
            time.sleep(pause_s)
    return samples


def _figures(name: str, samples: list[float]) -> list[Figure]:
    mean = sum(samples) / len(samples)
    return [
        Figure(f"tracking: log(), {name}, mean", mean, "µs", "<= 50", mean <= 50, samples),
        Figure(f"tracking: log(), {name}, p50", median(samples), "µs"),
        Figure(f"tracking: log(), {name}, p99", percentile(samples, 0.99), "µs"),
    ]


def _delay_ms(run: Run, log: Transport, count: int = 20) -> list[float]:
    """From `log()` until a reader of the log can have it."""
    samples = []
    path = f"/v1/topics/job:{run.run_id}/events"
    for step in range(count):
        began = time.perf_counter()
        run.event("mark", {"n": step})
        after = 1 + CALLS + step
        eventually(lambda after=after: log.get(path, EventPage, {"after": after, "limit": 1}).data)  # type: ignore[misc]
        samples.append((time.perf_counter() - began) * 1e3)
    return samples


def _environment(url: str, token: str) -> dict[str, str]:
    return {**os.environ, "IMTS_STREAM_URL": url, "IMTS_API_KEY": token, "IMTS_SENDER_PATIENCE_S": "0"}


def measure(folder: Path) -> list[Figure]:
    """The calls in this process, each run's sender and the stream service in others."""
    token = ServiceTokens("bench", SERVICE_SECRET).issue("stream")
    away = start(folder=folder / "away", environ=_environment("http://127.0.0.1:1", token))
    figures = _figures("server away", _calls(away, _STEP_S))
    away.finish()
    command = [sys.executable, "-c", _SERVER, str(folder / "stream")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        environ = _environment(server.stdout.readline().strip(), token)
        run = start(folder=folder / "there", environ=environ)
        figures += _figures("2 ms of Python between calls", _calls(run, _STEP_S))
        delays = _delay_ms(run, Transport(environ["IMTS_STREAM_URL"], token, 10.0))
        figures.append(Figure("tracking: log() to readable, p50", median(delays), "ms", "< 100", median(delays) < 100))
        run.finish()
        run = start(folder=folder / "flood", environ=environ)
        figures += _figures("in a tight loop", _calls(run, 0.0))
        run.finish()
        run = start(folder=folder / "outside", environ=environ)
        figures += _figures("2 ms outside Python between calls", _calls(run, _STEP_S, holds_lock=False))
        run.finish()
        server.stdin.close()
    return figures
