"""A job in the terminal while it runs: bars and newest figures, or plain lines where there is no terminal."""

import time
from collections import defaultdict
from collections.abc import Iterable

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shared.contracts import events
from shared.contracts.base import JsonObject
from shared.contracts.events import Event
from shared.contracts.failures import Reason

_FIGURES = {
    "epoch": "epoch",
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "learning_rate": "learning rate",
    "gradient_norm": "gradient norm",
    "training_speed": "steps/s",
    "tokens_per_second": "tokens/s",
    "gpu_memory_used": "GPU memory (GB)",
    "eta": "time left",
}
_SENTENCES = {
    events.COMPACTED: "events up to number {through} are no longer kept",
    events.ATTEMPT_LOG_INCOMPLETE: "events of attempt {attempt} are missing: its machine is gone",
    events.COMMAND_CARRIED_OUT: "{action} done at step {step}",
    events.SAFEGUARD_STRUCK: "{safeguard} at step {step}: {sign}, {reaction}",
    events.COMMAND_REFUSED: "{action} refused: {why}",
}
"""What an event says to people by its own words."""
_LINE_EVERY_S = 2.0


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _failure(attempt: int | None, failure: object) -> str | None:
    """An attempt's failure in one line; a user's own stop is no news to them."""
    if not isinstance(failure, dict) or failure.get("reason") == Reason.STOPPED_BY_USER:
        return None
    suggestion = failure.get("suggestion")
    advice = suggestion.get("advice") if isinstance(suggestion, dict) else None
    told = f"attempt {attempt} failed: {failure.get('reason')} (class {failure.get('failure_class')})"
    return f"{told}; {advice}" if advice else told


class Story:
    """What is known of a job from the events so far."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.status = "queued"
        self.why = ""
        self.what = "steps"
        self.done = 0
        self.total: int | None = None
        self.figures: dict[str, str] = {}

    def take(self, event: Event) -> str | None:
        """Take one event in; a sentence comes back when people should read it even without bars."""
        data = event.data
        if event.event_type == events.PHASE_CHANGED:
            self.status, self.why = str(data.get("to")), str(data.get("why") or "")
            return f"{self.status}: {self.why}" if self.why else self.status
        if event.event_type == events.RUN_FINISHED:
            self.status = str(data.get("status"))
            return f"{self.status}: {data.get('why')}" if data.get("why") else self.status
        if event.event_type == events.METRICS_UPDATE:
            self._take_metrics(data)
        elif event.event_type == events.PROGRESS:
            self.done = _number(data.get("done")) or 0
            self.total = _number(data.get("total"))
            self.what = str(data.get("what") or self.what)
        elif event.event_type == events.TRAINING_REWOUND:
            self.done = _number(data.get("to_step")) or 0
            return f"back to step {self.done}: {data.get('cause')}"
        elif event.event_type == events.ATTEMPT_ENDED:
            return _failure(event.attempt, data.get("failure"))
        elif (sentence := _SENTENCES.get(event.event_type)) is not None:
            return sentence.format_map(defaultdict(str, data))
        return None

    def _take_metrics(self, data: JsonObject) -> None:
        self.done = _number(data.get("step")) or self.done
        self.total = _number(data.get("total_steps")) or self.total
        advanced = data.get("advanced_metrics")
        flat = {**data, **(advanced if isinstance(advanced, dict) else {})}
        for key in _FIGURES:
            value = flat.get(key)
            if isinstance(value, float):
                self.figures[key] = f"{value:.4g}"
            elif isinstance(value, str | int):
                self.figures[key] = str(value)

    def line(self) -> str:
        """The newest figures in one line."""
        figures = [f"{_FIGURES[key]} {self.figures[key]}" for key in _FIGURES if key in self.figures]
        return ", ".join([f"{self.done}/{self.total or '?'} {self.what}", *figures])


def follow(stream: Iterable[Event], label: str, console: Console) -> str:
    """Show a job's events until they end; the job's last status comes back."""
    story = Story(label)
    if console.is_terminal:
        _follow_with_bars(stream, story, console)
    else:
        _follow_in_lines(stream, story, console)
    return story.status


def _follow_in_lines(stream: Iterable[Event], story: Story, console: Console) -> None:
    printed_at = 0.0
    for event in stream:
        sentence = story.take(event)
        if sentence:
            console.print(f"{story.label} {sentence}", markup=False, highlight=False, soft_wrap=True)
        elif event.event_type in {events.METRICS_UPDATE, events.PROGRESS}:
            is_last = story.done == story.total
            if is_last or time.monotonic() - printed_at > _LINE_EVERY_S:
                printed_at = time.monotonic()
                console.print(f"{story.label} {story.line()}", markup=False, highlight=False, soft_wrap=True)


def _follow_with_bars(stream: Iterable[Event], story: Story, console: Console) -> None:
    bars = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[what]}"),
        TimeElapsedColumn(), console=console,
    )  # fmt: skip
    bar = bars.add_task(story.label, total=None, what="")

    def screen() -> Group:
        bars.update(
            bar, description=f"{story.label} {story.status}", completed=story.done, total=story.total, what=story.what
        )
        table = Table.grid(padding=(0, 2))
        for key in _FIGURES:
            if key in story.figures:
                table.add_row(f"  {_FIGURES[key]}", story.figures[key])
        return Group(bars, table)

    with Live(console=console, refresh_per_second=8, get_renderable=screen):
        for event in stream:
            if sentence := story.take(event):
                console.print(f"{story.label} {sentence}", markup=False, highlight=False)
