"""Stage ppo has an engine of its own, and only with the versions that its bridges are for."""

import pytest

from services.training.app import engine_of_ppo
from services.training.ppo.second_trl import BUILT_FOR, strangers
from shared.contracts.work import AttemptSpec, JobKind


@pytest.mark.parametrize(
    ("kind", "stage", "module"),
    [
        (JobKind.TRAINING, "ppo", "services.training.ppo.engine"),
        (JobKind.TRAINING, "rm", None),
        (JobKind.EXPORT, "ppo", None),
    ],
)
def test_only_ppo_has_another_engine(kind: JobKind, stage: str, module: str | None) -> None:
    job = "job-" + "0" * 26
    spec = AttemptSpec(attempt_id=f"{job}.1", job_id=job, number=1, kind=kind, spec={"stage": stage})
    assert engine_of_ppo(spec) == module


def test_the_trl_of_the_other_stages_is_told_by_its_version() -> None:
    told = strangers()
    assert told is not None
    assert told.startswith("trl ")
    assert told.endswith(f"instead of {BUILT_FOR['trl']}")
