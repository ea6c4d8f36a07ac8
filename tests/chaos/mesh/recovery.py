"""How long a job that is due takes to move once everything answers again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shared.contracts.jobs import Phase
from shared.worker.journal import count_lines
from tests.chaos.mesh.books import Pulse
from tests.chaos.mesh.chaos_mesh import ChaosMesh
from tests.chaos.mesh.watcher import until_whole

_EVERY_S = 0.05
_BACK_S = 300.0
_MOVE_S = 120.0
_QUIET_S = 2.0
"""Engines that load say nothing for a while: then nothing is due."""
_AT_WORK = {Phase.STARTING, Phase.RUNNING, Phase.PAUSING, Phase.STOPPING}


def _due(pulse: Pulse, data: Path) -> Iterator[tuple[str, set[str]]]:
    """What the mesh owes somebody now, and the jobs whose move or event pays it."""
    for job_id, job in pulse.jobs.items():
        attempt = data / job["worker"] / "jobs" / job_id / str(job["attempt"])
        if job["phase"] in _AT_WORK:
            accepted = pulse.accepted.get((job_id, f"{job_id}.{job['attempt']}"), 0)
            has_news = count_lines(attempt / "events.jsonl") > accepted
            is_new = job["phase"] == Phase.STARTING and not (attempt / "spec.json").exists()
            if has_news or is_new or (attempt / "exit.json").exists():
                yield job_id, {job_id}
    for worker in {job["worker"] for job in pulse.jobs.values()}:
        its_own = {job_id: job for job_id, job in pulse.jobs.items() if job["worker"] == worker}
        in_line = {job_id for job_id, job in its_own.items() if job["phase"] == Phase.QUEUED and job["lane"]}
        if in_line and not any(job["phase"] in _AT_WORK for job in its_own.values()):
            yield f"the line of {worker}", in_line


@dataclass
class Stopwatch:
    """Seconds from "all answers again and this is due" to its move, one for each thing that was due."""

    world: ChaosMesh
    backs: list[float] = field(default_factory=list)
    moves: list[float] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)
    quiet: int = 0

    def measure(self) -> None:
        """After a volley was undone: wait until all is back, then until what is due has moved."""
        undone = time.monotonic()
        whole = until_whole(self.world, _BACK_S)
        self.backs.append(whole - undone)
        first = self._first_due(whole)
        if first is None:
            self.quiet += 1
            return
        began, pulse, due = first
        while due:
            time.sleep(_EVERY_S)
            now = self.world.books.pulse()
            if now is None:
                continue
            took = time.monotonic() - began
            for name in [name for name, jobs in due.items() if any(now.of(job) != pulse.of(job) for job in jobs)]:
                self.moves.append(took)
                if took > 5:
                    self.slow.append(f"{name} took {took:.1f} s")
                del due[name]
            assert took < _MOVE_S, f"due and not moved for {took:.0f} s: {due}"

    def _first_due(self, whole: float) -> tuple[float, Pulse, dict[str, set[str]]] | None:
        while time.monotonic() - whole < _QUIET_S:
            began = time.monotonic()
            pulse = self.world.books.pulse()
            due = dict(_due(pulse, self.world.mesh.folder)) if pulse else {}
            if pulse and due:
                return began, pulse, due
            time.sleep(_EVERY_S)
        return None
