"""People who submit jobs and change their minds: every request is repeated until it is answered."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.mesh import KEY, TERMINAL

_PAUSE_S = 0.1
_TIMEOUT_S = 10.0
_PATIENCE_S = 1_500.0
"""For one request, and for the end of one job: other work loads the machine."""
_RETRIES = 20
"""As many as a job may have: only the budget's count is looked at, not its end."""
_BUSY = {408, 425, 429}
_TRAINING = {
    "modelName": "tiny", "stage": "sft", "finetuningType": "lora", "batchSize": 4, "learningRate": 1e-3, "epochs": 50,
    "loggingSteps": 1, "saveSteps": 10, "cutoffLen": 128, "maxRetries": _RETRIES,
}  # fmt: skip
TRAIN, ANALYSE, EVALUATE, BLUNDER = "training", "analysis", "evaluation", "a user's mistake"
LET, STOP, PAUSE = "let", "stop", "pause"


@dataclass(frozen=True)
class Order:
    """A job that somebody wants, and what they will want of it later."""

    key: str
    what: str
    body: dict[str, Any]
    wish: str
    delay_s: float
    rest_s: float

    @property
    def kind(self) -> str:
        """Where it is posted."""
        return TRAIN if self.what == BLUNDER else self.what


def draw_order(seed: int, number: int) -> Order:
    """The same for the same seed and number, whoever asks."""
    seeded = random.Random(f"{seed}:order:{number}")
    what = seeded.choices((TRAIN, ANALYSE, EVALUATE, BLUNDER), (10, 3, 1, 1))[0]
    body = {
        TRAIN: {**_TRAINING, "dataset": "arithmetic-train", "maxSteps": seeded.randint(20, 120)},
        ANALYSE: {"dataset": "arithmetic-train", "modelName": "tiny", "maxRetries": _RETRIES},
        EVALUATE: {
            "dataset": "arithmetic-test", "modelName": "tiny", "maxNewTokens": 4, "maxRows": 16, "maxRetries": _RETRIES,
        },
        BLUNDER: {**_TRAINING, "dataset": "cut-away", "cutoffLen": 8},
    }[what]  # fmt: skip
    wish = seeded.choices((LET, STOP, PAUSE), (6, 2, 2))[0] if what == TRAIN else LET
    key = f"order-{seed}-{number}"
    return Order(key, what, body, wish, seeded.uniform(0, 6), seeded.uniform(0, 3))


@dataclass
class Customers:
    """`width` of them, each with one job at a time, until `at_least` jobs are done and the faults are over."""

    url: str
    seed: int
    at_least: int
    width: int
    accepted: dict[str, Order] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    repeated: int = 0
    is_closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._threads = [threading.Thread(target=self._live, daemon=True) for _ in range(self.width)]
        self.is_quitting = False

    def start(self) -> None:
        """Begin to submit."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Submit no more than are missing, and wait until every job is over."""
        self.is_closing.set()
        for thread in self._threads:
            thread.join()

    def quit(self) -> None:
        """Give up what is not done."""
        self.is_quitting = True
        self.finish()

    def _live(self) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=self.url, headers=headers, timeout=_TIMEOUT_S, trust_env=False) as http:
            while (number := next(self._numbers)) <= self.at_least or not self.is_closing.is_set():
                order = draw_order(self.seed, number)
                try:
                    self._see_through(http, order)
                except AssertionError as fault:
                    self.faults.append(f"{order.key} ({order.what}, {order.wish}): {fault}")
                if self.is_quitting:
                    return

    def _see_through(self, http: httpx.Client, order: Order) -> None:
        headers = {"idempotency-key": order.key}
        path = f"/api/{order.kind}/jobs"
        answer = self._ask(lambda: http.post(path, json=order.body, headers=headers))
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["jobId"]
        self.accepted[job_id] = order
        if order.wish != LET:
            time.sleep(order.delay_s)
            self._ask(lambda: http.post(f"/api/jobs/{job_id}/{order.wish}"))
        if order.wish == PAUSE:
            self._wait(http, job_id, {*TERMINAL, "paused"})
            time.sleep(order.rest_s)
            self._ask(lambda: http.post(f"/api/jobs/{job_id}/resume"))
        self._wait(http, job_id, TERMINAL)

    def _wait(self, http: httpx.Client, job_id: str, phases: set[str]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            answer = self._ask(lambda: http.get(f"/api/jobs/{job_id}"))
            assert answer.status_code == 200, f"{job_id}: {answer.text}"
            view = answer.json()
            if view["status"] in phases:
                return
            assert time.monotonic() < deadline, f"{job_id} does not get to {sorted(phases)}: {view}"
            time.sleep(2 * _PAUSE_S)

    def _ask(self, request: Callable[[], httpx.Response]) -> httpx.Response:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            assert not self.is_quitting, "given up"
            try:
                answer = request()
            except httpx.TransportError as fault:
                said = repr(fault)
            else:
                if answer.status_code < 500 and answer.status_code not in _BUSY:
                    return answer
                assert answer.status_code in {*_BUSY, 503}, f"{answer.status_code}: {answer.text}"
                said = answer.text
            assert time.monotonic() < deadline, f"no answer in {_PATIENCE_S:g} s: {said}"
            self.repeated += 1
            time.sleep(_PAUSE_S)
