"""Which jobs may be deleted, what a refusal says, and how long a deletion waits between its tries."""

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.domain.deleting import refuse_kept
from orchestrator.domain.deletion import Deletion
from shared.contracts.jobs import TERMINAL, Phase
from shared.kit.errors import Conflict
from tests.unit.orchestrator.jobs import JOB_ID, NOW, a_job


@pytest.mark.parametrize("phase", sorted(set(Phase) - TERMINAL))
def test_a_job_that_is_not_over_is_kept(phase: Phase) -> None:
    with pytest.raises(Conflict, match="stop it first") as refusal:
        refuse_kept(a_job(phase), [], [])
    assert refusal.value.code == f"job_{phase}"


@pytest.mark.parametrize("phase", sorted(TERMINAL))
def test_a_job_that_is_over_and_that_nobody_needs_may_go(phase: Phase) -> None:
    refuse_kept(a_job(phase), [], [])


def test_a_trial_stays_with_its_sweep() -> None:
    with pytest.raises(Conflict, match="swp-1") as refusal:
        refuse_kept(a_job(Phase.STOPPED, sweep="swp-1"), [], [])
    assert refusal.value.code == "job_in_sweep"


def test_a_job_that_is_waited_for_names_who_waits() -> None:
    with pytest.raises(Conflict, match="job-b") as refusal:
        refuse_kept(a_job(Phase.STOPPED), [], ["job-c", "job-b"])
    assert refusal.value.code == "job_needed"


def test_pauses_between_tries_double_up_to_a_minute() -> None:
    deletion = Deletion(JOB_ID, NOW, NOW, has_log=True, attempts={})
    waits = [(replace(deletion, tries=tries).later(NOW) - NOW) // timedelta(seconds=1) for tries in (0, 1, 5, 6, 99)]
    assert waits == [1, 2, 32, 60, 60]
