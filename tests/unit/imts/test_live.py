"""What people read while a job runs."""

import io
from datetime import UTC, datetime

from rich.console import Console

from imts.cli.live import Story, follow
from shared.contracts.base import JsonObject
from shared.contracts.events import Event
from shared.contracts.failures import Reason
from shared.contracts.work import Failure


def event(seq: int, event_type: str, data: JsonObject) -> Event:
    return Event(seq=seq, event_type=event_type, timestamp=datetime(2026, 1, 1, tzinfo=UTC), attempt=1, data=data)


LOG = [
    event(1, "phase_changed", {"from": "queued", "to": "running", "why": "[bold]worker[/] took it"}),
    event(2, "metrics_update", {"step": 1, "total_steps": 4, "train_loss": 2.0, "epoch": 0.5}),
    event(3, "metrics_update", {"step": 4, "total_steps": 4, "train_loss": None, "non_finite": ["train_loss"]}),
    event(4, "phase_changed", {"from": "running", "to": "succeeded", "why": "done"}),
]


def shown(*, is_terminal: bool) -> tuple[str, str]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=100)
    return follow(LOG, "job", console), output.getvalue()


def test_without_a_terminal_there_are_plain_lines() -> None:
    status, text = shown(is_terminal=False)
    assert status == "succeeded"
    assert text.splitlines() == [
        "job running: [bold]worker[/] took it",
        "job 1/4 steps, epoch 0.5, training loss 2",
        "job 4/4 steps, epoch 0.5, training loss 2",
        "job succeeded: done",
    ]


def test_on_a_terminal_there_are_bars_and_figures() -> None:
    status, text = shown(is_terminal=True)
    assert status == "succeeded"
    assert "4/4" in text
    assert "training loss" in text


def test_a_rewind_moves_the_bar_back_and_says_why() -> None:
    story = Story("job")
    story.take(event(1, "metrics_update", {"step": 90, "total_steps": 100}))
    said = story.take(event(2, "training_rewound", {"to_step": 50, "cause": "engine_killed"}))
    assert said == "back to step 50: engine_killed"
    assert story.line() == "50/100 steps"


def test_what_was_done_on_command_is_said() -> None:
    done = event(1, "command_carried_out", {"action": "checkpoint", "step": 7})
    assert Story("job").take(done) == "checkpoint done at step 7"
    refused = event(1, "command_refused", {"action": "evaluate", "step": 7, "why": "there is nothing to evaluate on"})
    assert Story("job").take(refused) == "evaluate refused: there is nothing to evaluate on"


def test_a_thinned_log_says_what_it_lacks() -> None:
    said = Story("job").take(event(90, "compacted", {"through": 90}))
    assert said == "events up to number 90 are no longer kept"


def test_a_failed_attempt_says_whose_fault_and_what_to_do() -> None:
    story = Story("job")
    failure = Failure.of(Reason.DISK_FULL).model_dump(mode="json")
    said = story.take(event(1, "attempt_ended", {"outcome": "failed", "failure": failure}))
    assert said == f"attempt 1 failed: disk_full (class infrastructure); {Reason.DISK_FULL.advice}"
    assert story.take(event(2, "attempt_ended", {"outcome": "succeeded", "failure": None})) is None
    stopped = Failure.of(Reason.STOPPED_BY_USER).model_dump(mode="json")
    assert story.take(event(3, "attempt_ended", {"outcome": "stopped", "failure": stopped})) is None


def test_work_without_training_steps_shows_what_it_counts() -> None:
    story = Story("job")
    story.take(event(1, "progress", {"done": 3, "total": 9, "what": "questions"}))
    assert story.line() == "3/9 questions"
