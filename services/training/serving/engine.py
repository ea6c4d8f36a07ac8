"""The serving engine's process: reads orders from its socket, answers them in rounds, ends when the service does."""

import os
import queue
import socket
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from setproctitle import setproctitle

from services.training.serving.rounds import Rounds, Terms
from services.training.serving.shelf import Shelf
from services.training.serving.task import Task
from shared.contracts.serving import EngineNews, Order
from shared.kit.artifacts import ArtifactStore
from shared.worker.processes import die_with_parent

TITLE = "imts:engine:serving"
_REST_S = 1.0
_CAPACITY_SHARE = 4
"""Of the GPU's memory, when nothing was said: the rest is for training."""


@dataclass(frozen=True)
class Orders:
    """Orders as they come in, read by a thread of its own."""

    line: socket.socket
    inbox: "queue.SimpleQueue[Order]"

    def read(self) -> None:
        """Until the service is gone, and with it this process."""
        with self.line.makefile("rb") as lines:
            for line in lines:
                self.inbox.put(Order.model_validate_json(line))
        os._exit(0)

    def wait(self, within_s: float) -> Order | None:
        """The next order."""
        try:
            return self.inbox.get(timeout=within_s) if within_s else self.inbox.get_nowait()
        except queue.Empty:
            return None


def _capacity(task: Task) -> int:
    if task.capacity:
        return task.capacity
    if torch.cuda.is_available():
        return int(torch.cuda.mem_get_info()[1] // _CAPACITY_SHARE)
    return task.most_by_default


def main(argument: str) -> None:
    """Serve until the socket closes."""
    task = Task.model_validate_json(argument)
    die_with_parent(task.parent)
    setproctitle(TITLE)
    line = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def tell(news: EngineNews) -> None:
        line.sendall(news.model_dump_json(exclude_defaults=True).encode() + b"\n")

    orders = Orders(line, queue.SimpleQueue())
    threading.Thread(target=orders.read, name="orders", daemon=True).start()
    terms = Terms(task.most_rows, task.most_tokens, _capacity(task))
    store = ArtifactStore(task.artifacts_url, Path(task.cache))
    rounds = Rounds(Shelf(store, terms.capacity, task.idle_s, time.monotonic), terms, tell, time.monotonic)
    tell(EngineNews())
    while True:
        order = orders.wait(_REST_S if rounds.is_idle else 0)
        while order is not None:
            rounds.take(order)
            order = orders.wait(0)
        if rounds.is_idle:
            rounds.rest()
        else:
            rounds.turn()


if __name__ == "__main__":
    main(sys.argv[1])
