"""One of several processes that train one model; the first one alone writes events and checkpoints' manifests."""

import os
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from setproctitle import setproctitle

from shared.worker.processes import die_with_parent

if __name__ == "__main__":
    # Before what takes seconds to import: the engine may end meanwhile.
    die_with_parent(int(sys.argv[3]))

import torch
from torch import distributed
from transformers import TrainerCallback

from services.training.callbacks.control import TrainingHalted
from services.training.callbacks.memory_guard import HardLimit, MemoryShort
from services.training.callbacks.watchdog import Struck
from services.training.course import Course, Restart
from services.training.crew import Crew
from services.training.devices import fit_threads
from services.training.llama_factory import run_exp
from services.training.ranks.accord import AccordCallback, GateCallback
from services.training.ranks.order import End, Order
from services.training.ranks.presets import TIMEOUT_S
from shared.contracts.events import finite
from shared.contracts.training import TrainingSpec
from shared.contracts.work import AttemptSpec
from shared.kit.artifacts import ArtifactStore
from shared.kit.files import write_atomic
from shared.worker.attempt import Attempt, Result
from shared.worker.engine import run_to_result
from shared.worker.folder import AttemptFolder

_BEFORE_CUDA = 15
"""Order among those that know where a stored tensor belongs."""


def _join(order: Order, rank: int) -> distributed.ProcessGroup:
    """Meet the others; answers the lines by which they agree, which no GPU is needed for."""
    patience = timedelta(seconds=TIMEOUT_S)
    if order.has_gpu:
        torch.cuda.set_device(rank)
    else:
        # The trainer asks for the optimizer's state on `cpu:0`, a name that only `cpu` itself answers to otherwise.
        torch.serialization.register_package(
            _BEFORE_CUDA, lambda _: None, lambda stored, place: stored if place.startswith("cpu:") else None
        )
    distributed.init_process_group(
        "nccl" if order.has_gpu else "gloo", init_method=f"file://{order.meeting}", rank=rank,
        world_size=order.processes, timeout=patience,
    )  # fmt: skip
    lines = distributed.new_group(backend="gloo", timeout=patience)
    assert isinstance(lines, distributed.ProcessGroup)
    return lines


def _train(order: Order, rank: int, attempt: Attempt) -> Result:
    lines = _join(order, rank)
    spec = TrainingSpec.model_validate(attempt.spec.spec)
    crew = Crew(attempt, spec, Course.of(attempt.work), order.weights, run_exp)
    callbacks: list[TrainerCallback] = [
        GateCallback(lines),
        *(crew.callbacks(Path(order.words)) if rank == 0 else []),
        AccordCallback(lines, crew.stepping, order.begun),
    ]
    fit_threads(order.weights.size)
    end, told = End.DONE, dict[str, Any]()
    try:
        with HardLimit(spec.memory_limit_gb).held(), crew.stepping.in_charge():
            crew.run_exp(dict(order.arguments), callbacks)
    except TrainingHalted:
        end = End.HALTED
    except Restart:
        end = End.RESTART
    except Struck as strike:
        end, told = End.STRUCK, {**asdict(strike.sign), "evidence": finite(strike.sign.evidence)}
    except MemoryShort as short:
        end, told = End.MEMORY_SHORT, short.evidence
    return Result(result={"end": end, "told": told, "figures": crew.metrics.summary()})


def main(path: Path, rank: int) -> None:
    """Train with the others; leave a word; end with 0 when nothing is left to do, which ends nobody else."""
    order = Order.read(path)
    folder = AttemptFolder(Path(order.attempt))
    setproctitle(f"imts:rank:{folder.attempt_id}:{rank}")
    spec = AttemptSpec.model_validate_json(folder.spec.read_bytes())
    attempt = Attempt(spec, folder.path, Path(order.work), ArtifactStore(order.words, Path(order.words)))
    result = run_to_result(lambda attempt: _train(order, rank, attempt), attempt)
    write_atomic(order.word(rank), result.model_dump_json())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if result.failure is None and result.result["end"] == End.DONE else 1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
