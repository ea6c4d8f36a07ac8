"""The transition table, and the one way to use it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domain.job_machine import (
    PAUSABLE,
    RESTING,
    STOPPABLE,
    TRANSITIONS,
    WORKING,
    IllegalMove,
    accepted,
    is_allowed,
    moved,
)
from shared.contracts.jobs import TERMINAL, Phase
from tests.unit.orchestrator.jobs import JOB_ID, NOW, a_job

PAIRS = list(itertools.product(Phase, Phase))


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_job_moves_exactly_as_the_table_says(before: Phase, after: Phase) -> None:
    job = a_job(before)
    if (before, after) not in TRANSITIONS:
        with pytest.raises(IllegalMove):
            moved(job, after, "because", NOW)
        return
    step = moved(job, after, "because", NOW)
    assert (step.job.phase, step.job.why, step.job.event_seq) == (after, "because", job.event_seq + 1)
    assert (step.entry.from_phase, step.entry.to_phase, step.entry.attempt) == (before, after, 1)
    assert step.event.data == {"from": before, "to": after, "why": "because", "project": job.project}
    assert step.event.topic == f"job:{JOB_ID}"
    assert step.event.after_drain == (after in TERMINAL)
    assert (step.job.ended_at is not None) == (after in TERMINAL)
    assert (step.job.next_look_at is None) == (after in TERMINAL | RESTING)


def test_every_transition_says_when_it_happens() -> None:
    assert all(sentence and not sentence.endswith(".") for sentence in TRANSITIONS.values())


def test_the_groups_cover_every_phase_once() -> None:
    everything = [*TERMINAL, *WORKING, *RESTING]
    assert sorted(everything) == sorted(Phase)


def test_the_groups_of_wishes_agree_with_the_table() -> None:
    for phase in Phase:
        stops = is_allowed(phase, Phase.STOPPING) or (phase in RESTING and is_allowed(phase, Phase.STOPPED))
        pauses = is_allowed(phase, Phase.PAUSING) or (phase is Phase.QUEUED and is_allowed(phase, Phase.PAUSED))
        assert stops == (phase in STOPPABLE), phase
        assert pauses == (phase in PAUSABLE), phase


def test_every_phase_can_be_reached_and_every_living_one_left() -> None:
    reached = {to for _, to in TRANSITIONS}
    left = {before for before, _ in TRANSITIONS}
    assert reached == set(Phase)
    assert left == (set(Phase) - TERMINAL) | {None}


def test_the_first_event_of_a_job_has_no_before() -> None:
    first = accepted(a_job(Phase.QUEUED, attempt=0, event_seq=0))
    assert first.event.data["from"] is None
    assert (first.event.producer_seq, first.event.attempt) == (1, 0)


@given(st.lists(st.sampled_from(list(Phase)), max_size=40))
def test_no_walk_ever_leaves_a_terminal_phase(wanted: list[Phase]) -> None:
    job = a_job(Phase.QUEUED, attempt=0)
    numbers = [job.event_seq]
    for to in wanted:
        was = job.phase
        try:
            job = moved(job, to, "walk", NOW).job
        except IllegalMove:
            continue
        assert was not in TERMINAL
        numbers.append(job.event_seq)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
