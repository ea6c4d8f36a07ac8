"""The load of `tests.bench.ingest`: appends batches over a few connections, each sent when the last is acknowledged.

Reads its plan as JSON from standard input, makes all bodies before the clock starts, and prints what it saw as JSON.
"""

import http.client
import json
import os
import random
import sys
import threading
import time
from typing import Any

from shared.kit.ids import new_id

POINTS = 8
"""Figures of an event that somebody would log to a tracking server; `total_steps` and `eta_seconds` do not count."""


def _event(step: int, dice: random.Random) -> str:
    """What a training callback says at a logging step, just under 400 bytes."""
    data = {
        "step": step, "total_steps": 100_000, "epoch": round(step / 937, 4), "train_loss": dice.random() * 3,
        "learning_rate": dice.random() * 1e-4, "training_speed": round(dice.random() * 90, 2),
        "tokens_per_second": round(dice.random() * 9_000, 1), "gpu_memory_used": round(dice.random() * 40, 2),
        "eta_seconds": 2467, "advanced_metrics": {"gradient_norm": dice.random(), "batch_time": dice.random() / 50},
    }  # fmt: skip
    event = {"event_type": "metrics_update", "timestamp": "2026-01-01T08:30:00.123456Z", "attempt": 1, "data": data}
    return json.dumps(event, separators=(",", ":"))


def _bodies(producer: str, batches: int, size: int, dice: random.Random) -> list[bytes]:
    """`batches` append requests of `size` events each, ready to send."""
    return [
        b'{"producer":"%s","first_seq":%d,"events":[%s]}'
        % (producer.encode(), first, ",".join(_event(first + place, dice) for place in range(size)).encode())
        for first in range(1, batches * size + 1, size)
    ]


class Connection:
    """One producer, its topic and its connection."""

    def __init__(self, plan: dict[str, Any], number: int) -> None:
        job = new_id("job")
        self._path = f"/v1/topics/job:{job}/events"
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {plan['token']}"}
        self._bodies = _bodies(f"{job}.1", plan["batches"], plan["size"], random.Random(number))
        self._http = http.client.HTTPConnection("127.0.0.1", plan["port"], timeout=60)
        self.bytes = sum(len(body) for body in self._bodies)
        self.samples: list[float] = []

    def send(self) -> None:
        """Everything, one batch after the other."""
        for body in self._bodies:
            began = time.perf_counter()
            self._http.request("POST", self._path, body, self._headers)
            answer = self._http.getresponse()
            said = answer.read()
            self.samples.append(time.perf_counter() - began)
            assert answer.status == 200, said


def main() -> None:
    """Send, and say how long it took."""
    plan = json.load(sys.stdin)
    os.sched_setaffinity(0, {1})
    connections = [Connection(plan, number) for number in range(plan["connections"])]
    threads = [threading.Thread(target=connection.send) for connection in connections]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    samples = [sample for connection in connections for sample in connection.samples]
    events = plan["connections"] * plan["batches"] * plan["size"]
    assert len(samples) * plan["size"] == events, "a connection gave up"
    size = sum(connection.bytes for connection in connections) / events
    json.dump({"seconds": seconds, "samples": samples, "events": events, "event_bytes": size}, sys.stdout)


if __name__ == "__main__":
    main()
