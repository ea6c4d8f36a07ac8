"""A worker service in memory, obeying the worker protocol; the test says when attempts run and how they end."""

from datetime import UTC, datetime

from shared.contracts.commands import Command
from shared.contracts.jobs import LogPage, PeerState
from shared.contracts.log_lines import LineQuery, LogLevel, LogLine, LogLines
from shared.contracts.work import (
    AttemptSpec,
    AttemptState,
    AttemptView,
    Capacity,
    Control,
    ExitReport,
    Outcome,
    Progress,
)
from shared.kit.errors import Conflict, NotFound, PeerUnavailable, RateLimited, Unavailable


class FakeWorker:
    """`WorkerPeer`; calls are counted, faults are switched on by attribute."""

    def __init__(self, name: str = "training", slots: int = 1) -> None:
        self.name = name
        self.slots = slots
        self.gpus = 0
        self.is_draining = False
        self.specs: dict[str, AttemptSpec] = {}
        self.views: dict[str, AttemptView] = {}
        self.controls: list[tuple[str, Control]] = []
        self.commands: list[tuple[str, Command]] = []
        self.starts: list[str] = []
        self.looks = 0
        self.removed: list[str] = []
        self.is_silent = False
        self.loses_answers = False
        """Requests arrive, answers do not."""
        self.answers_starts_with_503 = False
        """Starts arrive, and something in between answers in the worker's place."""
        self.refused: set[str] = set()
        self.is_full = False
        """Refuses starts although it told of free slots."""
        self.refuses_with: Conflict | None = None
        self.obeys = True
        """Whether a control ends an attempt at once."""
        self.runs_at_once = True

    def _answer(self) -> None:
        if self.is_silent or self.loses_answers:
            raise PeerUnavailable(f"{self.name} did not answer")

    async def state(self) -> PeerState:
        return PeerState(name=self.name, url="memory:", is_ready=not self.is_silent, version="0")

    @property
    def living(self) -> list[str]:
        """Attempts that have not ended."""
        return [attempt_id for attempt_id, view in self.views.items() if view.exit is None]

    async def capacity(self) -> Capacity:
        self._answer()
        taken = [self.specs[attempt_id].resources for attempt_id in self.living]
        return Capacity(
            slots=self.slots, free=max(self.slots - sum(one.slots for one in taken), 0),
            gpus=self.gpus, free_gpus=max(self.gpus - sum(one.gpus for one in taken), 0), draining=self.is_draining,
        )  # fmt: skip

    async def start(self, spec: AttemptSpec) -> AttemptView:
        if self.is_silent:
            self._answer()
        self.starts.append(spec.attempt_id)
        if self.refuses_with is not None:
            raise self.refuses_with
        if spec.attempt_id not in self.specs:
            self._accept(spec)
        elif self.specs[spec.attempt_id] != spec:
            raise Conflict("this attempt was started with another body", code="attempt_differs")
        self._answer()
        if self.answers_starts_with_503:
            raise Unavailable("503 without an error body")
        return self.views[spec.attempt_id]

    def _accept(self, spec: AttemptSpec) -> None:
        if any(attempt_id.startswith(f"{spec.job_id}.") for attempt_id in self.living):
            raise Conflict("an older attempt lives", code="older_attempt_alive")
        if spec.attempt_id in self.refused or self.is_full or len(self.living) >= self.slots:
            self.refused.add(spec.attempt_id)
            raise RateLimited("no free slot", code="no_capacity")
        self.specs[spec.attempt_id] = spec
        state = AttemptState.RUNNING if self.runs_at_once else AttemptState.ACCEPTED
        self.views[spec.attempt_id] = AttemptView(attempt_id=spec.attempt_id, state=state)

    async def look(self, attempt_id: str) -> AttemptView:
        self.looks += 1
        self._answer()
        if attempt_id not in self.views:
            raise NotFound("no such attempt", code="attempt_not_found")
        return self.views[attempt_id]

    async def control(self, attempt_id: str, wanted: Control) -> AttemptView:
        if attempt_id not in self.views:
            self.refused.add(attempt_id)
        view = await self.look(attempt_id)
        self.controls.append((attempt_id, wanted))
        outcomes = {Control.STOP: Outcome.STOPPED, Control.PAUSE: Outcome.PAUSED, Control.PREEMPT: Outcome.PREEMPTED}
        if self.obeys and view.exit is None:
            self.end(attempt_id, outcomes[wanted])
        return view

    async def command(self, attempt_id: str, wanted: Command) -> AttemptView:
        view = await self.look(attempt_id)
        if view.exit is not None:
            raise Conflict("it is over", code="attempt_ending")
        if (attempt_id, wanted) not in self.commands:
            self.commands.append((attempt_id, wanted))
        return view

    async def log(self, attempt_id: str, offset: int, limit: int) -> LogPage:
        self._answer()
        text = f"output of {attempt_id}\n"[offset : offset + limit]
        number = int(attempt_id.rpartition(".")[2])
        return LogPage(attempt=number, offset=offset, next_offset=offset + len(text), text=text, is_complete=False)

    async def log_lines(self, attempt_id: str, query: LineQuery) -> LogLines:
        page = await self.log(attempt_id, query.offset, 1000)
        wanted = page.text and query.level.covers(LogLevel.INFO) and query.search.casefold() in page.text.casefold()
        line = LogLine(offset=query.offset, level=LogLevel.INFO, text=page.text.rstrip("\n"))
        return LogLines(
            attempt=page.attempt, data=[line] if wanted else [], next_offset=page.next_offset, is_complete=False
        )

    async def remove(self, attempt_id: str) -> None:
        if self.is_silent:
            self._answer()
        view = self.views.get(attempt_id)
        if view is not None and view.exit is None:
            raise Conflict("it lives", code="attempt_alive")
        self.specs.pop(attempt_id, None)
        self.views.pop(attempt_id, None)
        self.removed.append(attempt_id)
        self._answer()

    def run(self, attempt_id: str, progress: Progress | None = None) -> None:
        """The attempt runs, this far."""
        view = AttemptView(attempt_id=attempt_id, state=AttemptState.RUNNING, progress=progress or Progress())
        self.views[attempt_id] = view

    def end(self, attempt_id: str, outcome: Outcome, **report: object) -> None:
        """The attempt's processes are gone."""
        told = ExitReport.model_validate({"outcome": outcome, "ended_at": datetime.now(UTC), **report})
        progress = self.views[attempt_id].progress
        self.views[attempt_id] = AttemptView(
            attempt_id=attempt_id, state=AttemptState.ENDED, progress=progress, exit=told
        )

    def forget(self, attempt_id: str) -> None:
        """The attempt's folder is lost."""
        del self.views[attempt_id], self.specs[attempt_id]


MADE_MODEL = {"model": {"name": "tuned", "base": None, "adapter": "b" * 64, "template": "default", "parameters": 7}}
"""What a training attempt reports when it succeeded."""
