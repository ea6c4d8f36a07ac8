"""A mesh of its own for the demo: `imts up` on free ports, ended with the demo."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from imts.client import Client

_PORTS = (8080, 8001, 8002, 8003, 8004)
_READY_WITHIN_S = 120.0
_STOP_WITHIN_S = 180.0
_POLL_S = 0.1


class DemoFailed(Exception):
    """Why the demo cannot go on, in one sentence."""


def free_offset() -> int:
    """A port offset at which all five ports are free now."""
    for offset in random.sample(range(1000, 20_000, 10), 200):
        with ExitStack() as stack:
            try:
                for port in _PORTS:
                    stack.enter_context(socket.create_server(("127.0.0.1", port + offset)))
            except OSError:
                continue
            return offset
    raise DemoFailed("no five free ports were found")


def _wait_until_ready(up: subprocess.Popen[bytes], ready_file: Path, log: Path) -> dict[str, str]:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline:
        if ready_file.is_file():
            return dict(json.loads(ready_file.read_text(encoding="utf-8")))
        if up.poll() is not None:
            raise DemoFailed(f"the mesh did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(_POLL_S)
    raise DemoFailed(f"the mesh was not ready after {_READY_WITHIN_S:g} s; see {log} and {log.parent / 'logs'}")


@contextmanager
def running_mesh(folder: Path) -> Iterator[Client]:
    """A client of a mesh on `folder`; at the end everything it started has ended."""
    folder.mkdir(parents=True, exist_ok=True)
    ready_file, log = folder / "ready.json", folder / "up.log"
    ready_file.unlink(missing_ok=True)
    words = ["--data-dir", str(folder), "--port-offset", str(free_offset()), "--ready-file", str(ready_file)]
    with log.open("wb") as output:
        up = subprocess.Popen(
            [sys.executable, "-m", "imts", "up", *words, "--no-remember"],
            env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        facts = _wait_until_ready(up, ready_file, log)
        key = Path(facts["key_file"]).read_text(encoding="utf-8").strip()
        with Client(facts["url"], key, stream_url=facts["stream_url"]) as client:
            yield client
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(_STOP_WITHIN_S)
