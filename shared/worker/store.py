"""The attempts of one worker, as folders on its disk."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

from shared.contracts.work import AttemptSpec, ExitReport
from shared.kit.errors import Conflict, ImtsError, NotFound, RateLimited
from shared.kit.files import fsync, write_atomic
from shared.worker.folder import AttemptFolder, read_json
from shared.worker.output import hole_in

_READ_BACK_BYTES = 4


class AttemptStore:
    """Finds, makes and reads attempt folders under `<data_dir>/jobs`."""

    def __init__(self, data_dir: Path) -> None:
        self._jobs = data_dir.resolve() / "jobs"
        self._jobs.mkdir(parents=True, exist_ok=True)
        self._discarded = data_dir.resolve() / "discarded"
        self._discarded.mkdir(exist_ok=True)

    def folder(self, attempt_id: str) -> AttemptFolder:
        """Where an attempt lies or would lie."""
        job_id, _, number = attempt_id.partition(".")
        return AttemptFolder(self._jobs / job_id / number)

    def find(self, attempt_id: str) -> AttemptFolder:
        """The folder of an attempt this worker was given."""
        folder = self.folder(attempt_id)
        if not folder.spec.exists():
            raise NotFound(f"attempt {attempt_id} was never given to this worker", code="attempt_not_found")
        return folder

    def of_job(self, job_id: str) -> list[AttemptFolder]:
        """The attempts of a job that this worker was given, oldest first."""
        job = self._jobs / job_id
        if not job.is_dir():
            return []
        found = [AttemptFolder(path) for path in job.iterdir() if path.name.isdigit()]
        return sorted((folder for folder in found if folder.spec.exists()), key=lambda folder: folder.number)

    def unfinished(self) -> Iterator[AttemptFolder]:
        """Attempts that have not ended, or whose events are not all reported."""
        for job in sorted(self._jobs.iterdir()):
            for folder in self.of_job(job.name):
                if not folder.exit.exists() or not folder.reported.exists():
                    yield folder

    def save(self, spec: AttemptSpec) -> AttemptFolder:
        """Write an attempt down; from here on it is accepted."""
        folder = self.folder(spec.attempt_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.work.mkdir(exist_ok=True)
        write_atomic(folder.spec, spec.model_dump_json())
        return folder

    def refuse(self, attempt_id: str, why: ImtsError) -> None:
        """Write down that this attempt never runs here."""
        folder = self.folder(attempt_id)
        folder.path.mkdir(parents=True, exist_ok=True)
        write_atomic(folder.refused, json.dumps({"code": why.code, "message": why.message}))

    def refusal_of(self, folder: AttemptFolder) -> ImtsError | None:
        """The refusal that was written down, to be said again."""
        said = read_json(folder.refused)
        return None if said is None else RateLimited(said["message"], code=said["code"], retry_after_s=1)

    def discard(self, folder: AttemptFolder) -> None:
        """Take an attempt away, and with the last one all that its job has here; `empty` then frees the disk.

        A rename each: whoever dies in between leaves nothing half there, and may be asked again.
        """
        self._rename_away(folder.path)
        job = folder.path.parent
        if job.is_dir() and not any(path.name.isdigit() for path in job.iterdir()):
            self._rename_away(job)

    def _rename_away(self, path: Path) -> None:
        if path.is_dir():
            path.rename(self._discarded / token_hex(8))
            fsync(path.parent)

    def empty(self) -> None:
        """Delete what was discarded; slow, safe to run twice at once."""
        for path in self._discarded.iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def check_same(self, folder: AttemptFolder, spec: AttemptSpec) -> None:
        """Refuse another job under an id that is taken; the trace context may differ."""
        kept = self.spec_of(folder)
        if kept.model_copy(update={"traceparent": None}) != spec.model_copy(update={"traceparent": None}):
            raise Conflict(f"attempt {spec.attempt_id} was given with another body", code="attempt_differs")

    def spec_of(self, folder: AttemptFolder) -> AttemptSpec:
        """What an attempt was given."""
        return AttemptSpec.model_validate_json(folder.spec.read_bytes())

    def exit_of(self, folder: AttemptFolder) -> ExitReport | None:
        """How an attempt ended; None while it has not."""
        try:
            return ExitReport.model_validate_json(folder.exit.read_bytes())
        except FileNotFoundError:
            return None

    def started_at(self, folder: AttemptFolder) -> str | None:
        """When the shepherd took the attempt on."""
        facts = read_json(folder.shepherd)
        return None if facts is None else str(facts["started_at"])

    def read_output(self, folder: AttemptFolder, offset: int, limit: int) -> tuple[bytes, bool]:
        """A slice of the engine's output, whole characters only, and whether nothing will follow it."""
        has_ended = folder.exit.exists()
        if not folder.stdout.exists():
            return b"", has_ended
        begin, _ = hole_in(folder.hole)
        with folder.stdout.open("rb") as stream:
            stream.seek(offset)
            chunk = stream.read(min(limit, begin - offset) if offset < begin else limit)
            is_end = not stream.read(1)
        if is_end and has_ended:
            return chunk, True
        return _whole_characters(chunk), False

    def past_hole(self, folder: AttemptFolder, offset: int) -> int:
        """`offset`, or where output goes on when what was there has been given back."""
        begin, end = hole_in(folder.hole)
        return end if begin <= offset < end else offset


def _whole_characters(chunk: bytes) -> bytes:
    """`chunk` without the beginning of a UTF-8 character that its end cuts."""
    for back in range(1, min(_READ_BACK_BYTES, len(chunk)) + 1):
        byte = chunk[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return chunk[:-back] if needed > back and back < len(chunk) else chunk
        if byte < 0x80:
            break
    return chunk
