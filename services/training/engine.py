"""The training engine: imports what is slow to import, then runs one attempt."""

from collections.abc import Callable

from services.training.llama_factory import run_exp
from services.training.make_gguf import run_make_gguf
from services.training.make_ollama import run_make_ollama
from services.training.make_tiny import run_make_tiny
from services.training.merge import run_merge
from services.training.push_hub import run_push_hub
from services.training.train import train
from shared.contracts.exports import Operation
from shared.contracts.failures import Reason
from shared.contracts.training import Stage
from shared.contracts.work import JobKind
from shared.worker.attempt import Attempt, Result, UserFault

_EXPORTS: dict[object, Callable[[Attempt], Result]] = {
    "make_tiny": run_make_tiny,
    Operation.MERGE: run_merge,
    Operation.GGUF: run_make_gguf,
    Operation.OLLAMA: run_make_ollama,
    Operation.HUB: run_push_hub,
}


def run(attempt: Attempt) -> Result:
    """Do the attempt's work, whichever of this service's kinds it is."""
    if attempt.spec.kind is JobKind.TRAINING:
        if attempt.spec.spec.get("stage") == Stage.PPO:
            raise UserFault(
                Reason.OPTION_UNSUPPORTED, "stage ppo has an engine of its own, which this worker starts not"
            )
        return train(attempt, run_exp)
    operation = attempt.spec.spec.get("operation")
    if operation in _EXPORTS:
        return _EXPORTS[operation](attempt)
    raise UserFault(Reason.OPERATION_UNKNOWN, f"export does not know the operation {operation!r}")
