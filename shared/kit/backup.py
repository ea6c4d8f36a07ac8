"""One service's part of a backup, saved and loaded by a command of that service: `save FOLDER`, `check`, `load`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from shared.contracts.backup import BackupFile, BackupPart
from shared.kit.dump import DumpRefused, OnRow, load, require_loadable, save
from shared.kit.files import sha256_of, write_atomic
from shared.kit.schema import newest_revision
from shared.kit.sql import open_engine

REFUSED = 65
"""EX_DATAERR: what was asked for cannot be done, and standard error says why in one sentence."""


def _nothing(_: Connection) -> None:
    return None


@dataclass(frozen=True)
class Keeper:
    """Saves and loads one database; the hooks do what only its service knows."""

    service: str
    package: str
    """Of its migrations."""
    database_url: str
    settle: Callable[[Connection], None] = _nothing
    """Mends loaded rows, in the loading transaction."""

    def save(self, folder: Path, on_row: OnRow | None = None) -> BackupPart:
        """Write the dump; the part says what was written."""
        taken_at = datetime.now(UTC)
        with self._open() as engine:
            rows = save(engine, self.package, folder / self._dump, on_row)
            kind = engine.dialect.name
        return BackupPart(
            service=self.service, revision=newest_revision(self.package), database=kind, taken_at=taken_at, rows=rows,
            files=[file_of(folder, self._dump)],
        )  # fmt: skip

    def check(self, part: BackupPart) -> None:
        """Refuse what `load` would refuse; changes nothing."""
        with self._open() as engine:
            require_loadable(engine, self.package, part.revision)

    def load(self, folder: Path, part: BackupPart) -> None:
        """Fill the database, which must be empty."""
        with self._open() as engine:
            load(engine, self.package, part.revision, folder / self._dump, self.settle)

    @contextmanager
    def _open(self) -> Iterator[Engine]:
        engine = open_engine(self.database_url, pool_size=1)
        try:
            yield engine
        except OperationalError as fault:
            raise DumpRefused(f"the database of {self.service} does not answer: {fault.orig}") from None
        finally:
            engine.dispose()

    @property
    def _dump(self) -> str:
        return f"{self.service}.jsonl.gz"


def file_of(folder: Path, name: str) -> BackupFile:
    """A written file, hashed."""
    path = folder / name
    return BackupFile(path=name, sha256=sha256_of(path), size=path.stat().st_size)


def part_note(folder: Path, service: str) -> Path:
    """Where a service says what it saved; `imts backup` gathers these into the manifest."""
    return folder / f"{service}.json"


def write_part(folder: Path, part: BackupPart) -> None:
    """Leave the note."""
    write_atomic(part_note(folder, part.service), part.model_dump_json())


def read_part(folder: Path, service: str) -> BackupPart:
    """Read the note."""
    return BackupPart.model_validate_json(part_note(folder, service).read_bytes())


def run(commands: dict[str, Callable[[Path], None]]) -> None:
    """The command line of a service's part: `<verb> FOLDER`."""
    verb, folder = sys.argv[1], Path(sys.argv[2])
    try:
        commands[verb](folder)
    except DumpRefused as fault:
        print(fault, file=sys.stderr)
        raise SystemExit(REFUSED) from None
