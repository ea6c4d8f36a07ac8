"""The process that makes one plan: it reads the call from its standard input and writes the plan to a file."""

import sys
from pathlib import Path

from setproctitle import setproctitle

from services.training.llama_factory import run_exp as run_exp  # imported as training imports it, with all it loads
from services.training.planning.plan import plan
from shared.contracts.plans import PlanCall
from shared.contracts.work import AttemptSpec, JobKind, Resources
from shared.kit.artifacts import ArtifactStore
from shared.kit.files import write_atomic
from shared.kit.ids import new_id
from shared.worker.attempt import Attempt
from shared.worker.processes import die_with_parent


def main(folder: Path, artifacts_url: str, cache: Path, parent: int) -> None:
    """Plan, and leave the answer in `folder`."""
    die_with_parent(parent)
    setproctitle("imts:engine:plan")
    call = PlanCall.model_validate_json(sys.stdin.buffer.read())
    job_id = new_id("job")
    spec = AttemptSpec(
        attempt_id=f"{job_id}.1", job_id=job_id, number=1, kind=JobKind.TRAINING, spec=call.spec,
        datasets=call.datasets, models=call.models,
        resources=Resources(gpus=call.gpus),
    )  # fmt: skip
    attempt = Attempt(spec, folder, folder / "work", ArtifactStore(artifacts_url, cache))
    write_atomic(folder / "plan.json", plan(attempt).model_dump_json())


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
