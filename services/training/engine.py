"""The training engine: imports what is slow to import, then runs one attempt."""

from services.training.make_tiny import run_make_tiny
from services.training.train import train
from shared.contracts.failures import Reason
from shared.contracts.work import JobKind
from shared.worker.attempt import Attempt, Result, UserFault


def run(attempt: Attempt) -> Result:
    """Do the attempt's work, whichever of this service's kinds it is."""
    if attempt.spec.kind is JobKind.TRAINING:
        return train(attempt)
    operation = attempt.spec.spec.get("operation")
    if operation == "make_tiny":
        return run_make_tiny(attempt)
    raise UserFault(Reason.OPERATION_UNKNOWN, f"export does not know the operation {operation!r}")
