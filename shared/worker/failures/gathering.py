"""Reads a case from the folder of an attempt whose processes are gone; what cannot be read is left out."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.contracts.failures import Reason
from shared.worker.failures.case import Case, Fault, Line, Remains
from shared.worker.failures.faults import abort_in, faults_in
from shared.worker.folder import AttemptFolder, read_json
from shared.worker.journal import last_events

_TAIL_BYTES = 64 * 1024
_LINES = 400
_LONGEST_LINE = 2000
_EVENTS = 50


def gather(folder: AttemptFolder, remains: Remains, own_word: Mapping[str, Any] | None, *, was_stopped: bool) -> Case:
    """All there is to know; `own_word` is the failure that the engine told of."""
    log = _tail(folder.stdout)
    return Case(
        faults=_faults(remains, log), named=_named(own_word), message=str((own_word or {}).get("message", "")),
        was_stopped=was_stopped, remains=remains, log=log, events=_events(folder.events), spec=_spec(folder.spec),
        ended_at=datetime.now(UTC).isoformat(), folder=str(folder.path.parent),
    )  # fmt: skip


def _faults(remains: Remains, log: tuple[Line, ...]) -> tuple[Fault, ...]:
    """Exceptions that the output tells of, where it is known to end with what ended the engine."""
    if remains.fatal_signal is not None:
        return abort_in(log)
    return () if remains.code is None else faults_in(log)


def _named(own_word: Mapping[str, Any] | None) -> Reason | None:
    """What the engine called it; a name that is not in the table says no more than that it failed."""
    if own_word is None:
        return None
    return next((reason for reason in Reason if reason == own_word.get("reason")), Reason.ENGINE_FAILED)


def _tail(path: Path) -> tuple[Line, ...]:
    """The last lines of the output; the first of them may be cut when the output is long."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            offset = stream.seek(max(0, size - _TAIL_BYTES))
            content = stream.read(_TAIL_BYTES)
    except OSError:
        return ()
    lines = []
    for raw in content.split(b"\n"):
        lines.append(Line(offset, raw[:_LONGEST_LINE].decode("utf-8", "replace").rstrip("\r")))
        offset += len(raw) + 1
    return tuple(lines[-_LINES:])


def _events(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(event for event in last_events(path, _EVENTS) if isinstance(event.get("data"), dict))
    except OSError:
        return ()


def _spec(path: Path) -> Mapping[str, Any]:
    try:
        found = (read_json(path) or {}).get("spec")
    except OSError:
        return {}
    return found if isinstance(found, dict) else {}
