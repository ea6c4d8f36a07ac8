"""Where the files of one attempt lie, and how its small JSON files are read and written (standard library only)."""

import json
from pathlib import Path
from typing import Any, TypedDict

from shared.kit.files import write_atomic


class ControlFile(TypedDict):
    """What was asked of an attempt, and when its processes are ended by force (seconds since 1970)."""

    control: str
    deadline: float


class AttemptFolder:
    """`jobs/<job_id>/<number>/`; everything but the two logs is written whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.json"
        self.refused = path / "refused"
        """Why there was no room for it; whatever of it still arrives is refused again."""
        self.lock = path / "lock"
        """Held by the shepherd for its life."""
        self.shepherd = path / "shepherd.json"
        """Written once the lock is held: from here on an engine may have run."""
        self.devices = path / "devices.json"
        """Which devices its processes see; absent where there was nothing to choose."""
        self.control = path / "control.json"
        self.events = path / "events.jsonl"
        self.stdout = path / "stdout.log"
        self.hole = path / "stdout.hole.json"
        """Which part of the output was given back; absent while all of it is there."""
        self.outcome = path / "outcome.json"
        """The engine's own word."""
        self.ending = path / "ending.json"
        """The exit report before `attempt_ended` is known to be in the log."""
        self.exit = path / "exit.json"
        self.scratch = path / "scratch"
        """What the engine needs while it works; gone when the attempt is over, however it ended."""
        self.reported = path / "reported"
        """Empty; the stream has all events, or will never take more."""

    @property
    def attempt_id(self) -> str:
        """`<job_id>.<number>`."""
        return f"{self.job_id}.{self.number}"

    @property
    def job_id(self) -> str:
        """The job this attempt is a try at."""
        return self.path.parent.name

    @property
    def number(self) -> int:
        """Which try this is, from 1."""
        return int(self.path.name)

    @property
    def work(self) -> Path:
        """Shared by all attempts of the job."""
        return self.path.parent / "work"

    def read_control(self) -> ControlFile | None:
        """What was asked, if anything."""
        found = read_json(self.control)
        return None if found is None else ControlFile(control=found["control"], deadline=found["deadline"])

    def write_control(self, asked: ControlFile) -> None:
        """Ask for something, in the place of what was asked before."""
        write_atomic(self.control, json.dumps(asked))


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object from a file; None when the file is absent or damaged."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return found if isinstance(found, dict) else None
