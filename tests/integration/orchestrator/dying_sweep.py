"""An orchestrator that is killed with signal 9 in the middle of making a sweep: `python -m … URL FOLDER`."""

import os
import signal
import sys
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import event

from orchestrator.operations.requester import Requester
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import build_wiring
from shared.contracts.sweeps import SweepSpec
from tests.conftest import SERVICE_SECRET

SPEC = {
    "job": {"kind": "training", "modelName": "base", "dataset": "facts"},
    "parameters": {"seed": list(range(40))},
}  # fmt: skip


def main() -> None:
    """Make the sweep; everything is written, and the commit never comes."""
    settings = OrchestratorSettings(
        data_dir=Path(sys.argv[2]), database_url=SecretStr(sys.argv[1]), service_secret=SecretStr(SERVICE_SECRET)
    )
    wiring = build_wiring(settings)
    event.listen(wiring.database.engine, "commit", lambda _: os.kill(os.getpid(), signal.SIGKILL))
    wiring.sweep_intake.create(SweepSpec.model_validate(SPEC), Requester("tester", idempotency_key="once"))


if __name__ == "__main__":
    main()
