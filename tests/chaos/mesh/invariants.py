"""What must be true of every job of a run, each promise a function that says what it found wrong."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.domain.job_machine import WORKING, is_allowed
from shared.contracts.events import ATTEMPT_ENDED, PHASE_CHANGED
from shared.contracts.failures import FailureClass
from shared.contracts.jobs import TERMINAL, Phase
from tests.chaos.mesh.books import Books
from tests.chaos.mesh.customers import BLUNDER, Order

Row = dict[str, Any]


@dataclass(frozen=True)
class Story:
    """Everything that is known of one job when all is over."""

    order: Order
    job: Row
    attempts: list[Row]
    history: list[Row]
    log: list[Row]
    folder: Path
    killed: set[str]
    """Attempts whose engine or shepherd was killed."""

    @property
    def moves(self) -> list[tuple[str | None, str]]:
        """From where to where."""
        return [(row["from_phase"], row["to_phase"]) for row in self.history]

    @property
    def charged(self) -> list[Row]:
        """Attempts that came out of the retry budget: they ended badly, and the job went on."""
        led_on = {
            row["attempt"] for row in self.history
            if row["from_phase"] in WORKING and row["to_phase"] in {Phase.QUEUED, Phase.PAUSED}
        }  # fmt: skip
        bad = {"failed", "worker_lost"}
        return [one for one in self.attempts if one["number"] in led_on and (one["exit"] or {}).get("outcome") in bad]


def stories(
    accepted: dict[str, Order], books: Books, data: Path, killed: set[str], faults: list[str]
) -> Iterator[Story]:
    """One for each accepted job; what was lost, or made twice, is told."""
    rows = {row["job_id"]: row for row in books.jobs() if row["idempotency_key"]}
    for key, times in Counter(row["idempotency_key"] for row in rows.values()).items():
        if times > 1:
            faults.append(f"{key} was accepted {times} times")
    for job_id, order in accepted.items():
        if job_id not in rows:
            faults.append(f"{job_id} ({order.key}) was accepted and is lost")
            continue
        job = rows[job_id]
        folder = data / job["worker"] / "jobs" / job_id
        yield Story(order, job, books.attempts(job_id), books.history(job_id), books.log(job_id), folder, killed)


def a_job_has_an_end_that_fits(story: Story) -> Iterator[str]:
    """No job is left over; a user's mistake fails, and nothing else fails while its budget lasts."""
    phase = story.job["phase"]
    if phase not in TERMINAL:
        yield f"it is {phase}: {story.job['why']}"
    if story.order.what == BLUNDER and phase == Phase.SUCCEEDED:
        yield "a user's mistake succeeded"
    if story.order.what != BLUNDER and phase == Phase.FAILED:
        yield f"it failed: {story.job['why']}"


def moves_are_legal_and_end_once(story: Story) -> Iterator[str]:
    """Each move begins where the last one ended; only the last one is terminal."""
    before: str | None = None
    for came_from, to in story.moves:
        if came_from != before:
            yield f"it was {before}, and moved from {came_from} to {to}"
        if not is_allowed(None if came_from is None else Phase(came_from), Phase(to)):
            yield f"{came_from} -> {to} is no transition"
        before = to
    if before != story.job["phase"]:
        yield f"history ends with {before}, the job is {story.job['phase']}"
    ends = [to for _, to in story.moves if to in TERMINAL]
    if len(ends) != 1 or story.moves[-1][1] not in TERMINAL:
        yield f"terminal phases were written {len(ends)} times: {ends}"


def each_move_is_one_row_and_one_event(story: Story) -> Iterator[str]:
    """History and log tell the same moves, each once."""
    told = [(event["data"]["from"], event["data"]["to"]) for event in story.log if event["event_type"] == PHASE_CHANGED]
    if told != story.moves:
        yield f"history has {story.moves}, the log {told}"
    if story.job["event_seq"] != len(story.history):
        yield f"{story.job['event_seq']} events were numbered for {len(story.history)} moves"


def attempts_only_increase(story: Story) -> Iterator[str]:
    """Numbered from 1 without a gap, each ended and known to a worker that was asked for it."""
    numbers = [one["number"] for one in story.attempts]
    if numbers != list(range(1, story.job["attempt"] + 1)):
        yield f"attempts are {numbers}, the job says {story.job['attempt']}"
    of_moves = [row["attempt"] for row in story.history]
    if of_moves != sorted(of_moves):
        yield f"moves speak of attempts {of_moves}"
    for one in story.attempts:
        if one["exit"] is None or one["ended_at"] is None:
            yield f"attempt {one['number']} never ended"


def the_log_is_whole(story: Story) -> Iterator[str]:
    """Numbers run from 1 without a gap, of the topic and of each producer; nothing follows the terminal event."""
    if [event["seq"] for event in story.log] != list(range(1, len(story.log) + 1)):
        yield "the log's numbers have gaps"
    for producer in {event["producer"] for event in story.log}:
        numbers = [event["producer_seq"] for event in story.log if event["producer"] == producer]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"events of {producer} are numbered {numbers}"
    if not story.log or story.log[-1]["data"].get("to") not in TERMINAL:
        yield f"the last event is {story.log[-1:]}"


def what_engines_wrote_is_in_the_log(story: Story) -> Iterator[str]:
    """Each attempt's file, line by line: every event once and in order, its end last."""
    for one in story.attempts:
        name = f"{story.job['job_id']}.{one['number']}"
        path = story.folder / str(one["number"]) / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        written = [(event["event_type"], event["data"]) for event in map(json.loads, lines)]
        logged = [(event["event_type"], event["data"]) for event in story.log if event["producer"] == name]
        if logged != written:
            yield f"{name} wrote {len(written)} events, the log has {len(logged)} of it, or others"
        if [kind for kind, _ in written].count(ATTEMPT_ENDED) != (1 if written else 0):
            yield f"{name} ended other than once"


def only_the_right_class_spends_the_budget(story: Story) -> Iterator[str]:
    """What was charged ended badly through nobody's mistake but the saboteur's."""
    charged = story.charged
    if story.job["retries_spent"] != len(charged):
        yield f"{story.job['retries_spent']} retries are spent, {len(charged)} attempts came out of the budget"
    for one in charged:
        failure = one["exit"].get("failure") or {}
        name = f"{story.job['job_id']}.{one['number']}"
        if failure.get("failure_class") == FailureClass.USER:
            yield f"{name} failed by its user's fault and was tried again: {failure}"
        if name not in story.killed:
            yield f"{name} was charged and nobody had killed it: {one['exit']}"


def its_folder_holds_what_it_should(story: Story) -> Iterator[str]:
    """Each attempt that a worker took on has its report and was reported; nothing half-written is left."""
    known = {str(one["number"]) for one in story.attempts} | {"work"}
    for path in story.folder.iterdir() if story.folder.exists() else []:
        if path.name not in known:
            yield f"{path} belongs to no attempt"
        elif path.name != "work" and not (path / "refused").exists():
            missing = [name for name in ("spec.json", "exit.json", "reported") if not (path / name).exists()]
            if missing:
                yield f"{path} lacks {missing}"
            if (path / "scratch").exists():
                yield f"{path} holds what only its engine needed"


PROMISES: tuple[Callable[[Story], Iterator[str]], ...] = (
    a_job_has_an_end_that_fits,
    moves_are_legal_and_end_once,
    each_move_is_one_row_and_one_event,
    attempts_only_increase,
    the_log_is_whole,
    what_engines_wrote_is_in_the_log,
    only_the_right_class_spends_the_budget,
    its_folder_holds_what_it_should,
)


def broken_promises(story: Story) -> list[str]:
    """All that is wrong with one job."""
    return [
        f"{story.job['job_id']} ({story.order.what}, {story.order.wish}): {promise.__name__}: {fault}"
        for promise in PROMISES
        for fault in promise(story)
    ]
