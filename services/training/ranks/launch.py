"""Starts the processes of a training by torch's own launcher, passes on what is asked, hears how they ended."""

import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from services.training.arguments import EngineArguments
from services.training.callbacks.control import TrainingHalted
from services.training.callbacks.memory_guard import MemoryShort
from services.training.callbacks.watchdog import Struck
from services.training.course import Restart
from services.training.crew import Crew
from services.training.loss_signs import Sign
from services.training.ranks.order import End, Order
from shared.contracts.failures import Reason
from shared.worker.attempt import Attempt, EngineFault, Result
from shared.worker.environment import lent

_MODULE = "services.training.ranks.process"
_GRACE_S = 5
"""From the end of one process to the end of all by force."""
_OF_OTHERS = frozenset({Reason.DISTRIBUTED_FAILED, Reason.NETWORK_FAILED})
"""What a process says that lost another; that one knows better."""


def train_together(attempt: Attempt, crew: Crew, arguments: EngineArguments, *, has_gpu: bool) -> None:
    """As `run_exp` in one process: the same exceptions end it, and the crew knows the figures."""
    folder = attempt.scratch / "ranks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    order = Order(
        str(attempt.folder), str(attempt.work), arguments, crew.weights, crew.spec.processes, has_gpu,
        meeting=str(folder / "meeting"), words=str(folder),
    )  # fmt: skip
    path = folder / "order.json"
    order.save(path)
    with _passing_on(order.begun):
        failures = _launch(path, order)
    attempt.take_over()
    crew.course.refresh()
    crew.began_elsewhere = order.begun.exists()
    _conclude(order, crew, failures)


def _launch(path: Path, order: Order) -> Mapping[int, ProcessFailure]:
    """Answers what the first processes to fail left; the launcher has ended all others by then."""
    config = LaunchConfig(
        min_nodes=1, max_nodes=1, nproc_per_node=order.processes, run_id=Path(order.attempt).parent.name,
        rdzv_backend="c10d", rdzv_endpoint=order.meeting + ".launcher",
        rdzv_configs={"store_type": "file"}, local_addr="127.0.0.1", max_restarts=0, shutdown_timeout=_GRACE_S,
        logs_specs=DefaultLogsSpecs(log_dir=str(path.parent / "launcher")),
        # SIGTERM is ours to pass on.
        signals_to_handle="SIGUSR2",
    )  # fmt: skip
    threads = max((os.cpu_count() or 1) // order.processes, 1)
    hidden = {} if order.has_gpu else {"CUDA_VISIBLE_DEVICES": ""}
    command = ("-m", _MODULE, str(path), "${local_rank}", str(os.getpid()))
    with lent({"OMP_NUM_THREADS": str(threads), "GLOO_SOCKET_IFNAME": "lo", **hidden}):
        try:
            elastic_launch(config, sys.executable)(*command)
        except ChildFailedError as fault:
            return dict(fault.failures)
    return {}


@contextmanager
def _passing_on(begun: Path) -> Iterator[None]:
    """SIGTERM goes to the first process, which makes a checkpoint; before it can, it ends everything."""

    def pass_on(signum: int, frame: FrameType | None) -> None:
        if not begun.exists():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        with suppress(ValueError, ProcessLookupError):
            os.kill(int(begun.read_text()), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _conclude(order: Order, crew: Crew, failures: Mapping[int, ProcessFailure]) -> None:
    words = {rank: Result.model_validate_json(order.word(rank).read_bytes()) for rank in _said(order)}
    _raise_fault(order, words, failures)
    said: dict[str, Any] = words[0].result
    crew.told = said["figures"]
    match said["end"]:
        case End.HALTED:
            raise TrainingHalted
        case End.RESTART:
            raise Restart
        case End.STRUCK:
            raise Struck(Sign(**{**said["told"], "skip": tuple(said["told"]["skip"])}))
        case End.MEMORY_SHORT:
            raise MemoryShort(said["told"])


def _said(order: Order) -> list[int]:
    return [rank for rank in range(order.processes) if order.word(rank).exists()]


def _raise_fault(order: Order, words: Mapping[int, Result], failures: Mapping[int, ProcessFailure]) -> None:
    """EngineFault with the reason of the first process that failed by itself; the others lost it, or were ended."""
    if 0 in words and words[0].failure is None:
        return
    victims = []
    for rank, failure in failures.items():
        own = words[rank].failure if rank in words else None
        if own is not None and own.reason not in _OF_OTHERS:
            raise EngineFault(Reason[own.reason.upper()], own.message)
        if own is None and failure.exitcode != -signal.SIGTERM:
            how = f"was ended by {failure.signal_name()}" if failure.exitcode < 0 else f"ended with {failure.exitcode}"
            message = f"process {rank + 1} of {order.processes} {how}, without a word"
            raise EngineFault(Reason.DISTRIBUTED_FAILED, message)
        victims += [own.message] if own is not None else []
    raise EngineFault(Reason.DISTRIBUTED_FAILED, victims[0] if victims else "its processes ended without a word")
