"""Each promise notices when it is broken: the harness is no judge that always nods."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.mesh.customers import BLUNDER, draw_order
from tests.chaos.mesh.invariants import Story, broken_promises, stories
from tests.chaos.mesh.leftovers import orphan_folders

_JOB = "job-1"
_PHASES = ["queued", "starting", "running", "queued", "starting", "running", "succeeded"]
_ATTEMPTS = [0, 1, 1, 1, 2, 2, 2]


def _moves() -> list[dict[str, Any]]:
    before = [None, *_PHASES]
    rows = zip(before, _PHASES, _ATTEMPTS, strict=False)
    return [{"from_phase": a, "to_phase": b, "attempt": number} for a, b, number in rows]


def _event(seq: int, producer: str, number: int, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"seq": seq, "producer": producer, "producer_seq": number, "event_type": kind, "data": data}


def _log() -> list[dict[str, Any]]:
    moves = [("orchestrator", "phase_changed", {"from": m["from_phase"], "to": m["to_phase"]}) for m in _moves()]
    ends: dict[int, tuple[str, str, dict[str, Any]]] = {
        number: (f"{_JOB}.{number}", "attempt_ended", {}) for number in (1, 2)
    }
    told = [*moves[:3], ends[1], *moves[3:6], ends[2], moves[6]]
    numbers: dict[str, int] = {}
    found = []
    for seq, (producer, kind, data) in enumerate(told, 1):
        numbers[producer] = numbers.get(producer, 0) + 1
        found.append(_event(seq, producer, numbers[producer], kind, data))
    return found


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """A training whose first attempt was killed and whose second succeeded."""
    for number in ("1", "2"):
        folder = tmp_path / "training" / "jobs" / _JOB / number
        folder.mkdir(parents=True)
        (folder / "events.jsonl").write_text(json.dumps({"event_type": "attempt_ended", "data": {}}) + "\n")
        for name in ("spec.json", "exit.json", "reported"):
            (folder / name).touch()
    attempts = [
        {
            "number": 1,
            "ended_at": 1,
            "exit": {"outcome": "worker_lost", "failure": {"failure_class": "infrastructure"}},
        },
        {"number": 2, "ended_at": 2, "exit": {"outcome": "succeeded"}},
    ]
    job = {
        "job_id": _JOB, "phase": "succeeded", "why": "", "event_seq": 7, "attempt": 2, "retries_spent": 1,
        "worker": "training", "idempotency_key": "a",
    }  # fmt: skip
    order = replace(draw_order(0, 1), key="a", what="training")
    return Story(order, job, attempts, _moves(), _log(), folder.parent, {f"{_JOB}.1"})


def _with(story: Story, **changes: Any) -> Story:
    return replace(story, job={**story.job, **changes})


def test_a_story_that_keeps_every_promise_is_not_blamed(story: Story) -> None:
    assert broken_promises(story) == []


def test_a_job_that_never_ends_is_told(story: Story) -> None:
    stuck = replace(story, job={**story.job, "phase": "running", "event_seq": 6}, history=story.history[:-1])
    assert "it is running" in str(broken_promises(stuck))


def test_a_mistake_that_succeeds_and_a_good_job_that_fails_are_told(story: Story) -> None:
    assert "mistake succeeded" in str(broken_promises(replace(story, order=replace(story.order, what=BLUNDER))))
    assert "it failed" in str(broken_promises(_with(story, phase="failed")))


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"from_phase": "succeeded", "to_phase": "failed", "attempt": 2}, "written 2 times"),
        ({"from_phase": "queued", "to_phase": "succeeded", "attempt": 2}, "is no transition"),
        ({"from_phase": "running", "to_phase": "succeeded", "attempt": 2}, "moved from running"),
        ({"from_phase": "succeeded", "to_phase": "queued", "attempt": 1}, "speak of attempts"),
    ],
)
def test_a_move_too_many_is_told(story: Story, extra: dict[str, Any], told: str) -> None:
    found = str(broken_promises(replace(story, history=[*story.history, extra])))
    assert told in found
    assert "the log" in found


def test_an_event_that_is_lost_doubled_or_changed_is_told(story: Story) -> None:
    lost, doubled, changed = [deepcopy(story.log) for _ in range(3)]
    del lost[3]
    doubled.insert(3, doubled[3])
    changed[3]["data"] = {"other": 1}
    assert "gaps" in str(broken_promises(replace(story, log=lost)))
    assert "are numbered [1, 1]" in str(broken_promises(replace(story, log=doubled)))
    assert "or others" in str(broken_promises(replace(story, log=changed)))


def test_an_attempt_without_an_end_or_a_number_is_told(story: Story) -> None:
    assert "never ended" in str(
        broken_promises(replace(story, attempts=[story.attempts[0], {**story.attempts[1], "exit": None}]))
    )
    assert "the job says 2" in str(broken_promises(replace(story, attempts=story.attempts[:1])))


def test_a_budget_that_is_charged_wrongly_is_told(story: Story) -> None:
    assert "0 retries are spent" in str(broken_promises(_with(story, retries_spent=0)))
    assert "nobody had killed it" in str(broken_promises(replace(story, killed=set())))
    blamed = {**story.attempts[0], "exit": {"outcome": "failed", "failure": {"failure_class": "user"}}}
    assert "user's fault" in str(broken_promises(replace(story, attempts=[blamed, story.attempts[1]])))


def test_folders_of_nobody_and_unreported_attempts_are_told(story: Story) -> None:
    (story.folder / "7").mkdir()
    (story.folder / "1" / "reported").unlink()
    (story.folder / "2" / "scratch").mkdir()
    found = str(broken_promises(story))
    assert "belongs to no attempt" in found
    assert "lacks ['reported']" in found
    assert "only its engine needed" in found
    data = story.folder.parents[2]
    assert list(orphan_folders(data, {_JOB})) == []
    assert len(list(orphan_folders(data, set()))) == 1


class _LostBooks:
    """Knows of one job that was made twice, and not of the one that was accepted."""

    def jobs(self) -> list[dict[str, Any]]:
        return [{"job_id": f"job-{n}", "idempotency_key": "twice"} for n in (8, 9)]


def test_a_lost_job_and_one_made_twice_are_told(story: Story, tmp_path: Path) -> None:
    faults: list[str] = []
    assert list(stories({_JOB: story.order}, _LostBooks(), tmp_path, set(), faults)) == []  # type: ignore[arg-type]
    assert ["is lost" in fault for fault in faults] == [False, True]
