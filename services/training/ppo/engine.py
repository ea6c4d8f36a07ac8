"""The engine of stage ppo: a process of its own, for no process can hold two versions of trl."""

from services.training.ppo import second_trl
from shared.contracts.failures import Reason
from shared.worker.attempt import Attempt, EngineFault, Result

_FAULT = second_trl.put_first()
if _FAULT is None:
    # Only now: both import trl.
    from services.training.ppo.llama_factory import run_ppo
    from services.training.train import train


def run(attempt: Attempt) -> Result:
    """Train one attempt; EngineFault where the installation is not the one that this is for."""
    if _FAULT is not None:
        raise EngineFault(Reason.BAD_INSTALLATION, f"stage ppo cannot run here: {_FAULT}")
    return train(attempt, run_ppo)
