"""Beginning a run, and the promise that it ends when the script does."""

import atexit
import os
import re
import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from imts.tracking.courier import Courier
from imts.tracking.journal import Journal, runs_folder
from imts.tracking.run import Run
from shared.contracts.base import NAME_PATTERN
from shared.contracts.events import RUN_STARTED

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_open_runs: set[Run] = set()


def _new_run_id() -> str:
    """`run-` and a ULID in lower case: runs sort by the time they began."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return "run-" + "".join(_ALPHABET[(value >> (5 * place)) & 31] for place in reversed(range(26)))


def start(
    *,
    name: str = "",
    project: str = "default",
    config: Mapping[str, object] | None = None,
    folder: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Run:
    """Begin a run; never waits for the server, and never fails because it is away. ValueError: `project` is no name.

    Server and key come from IMTS_URL and IMTS_API_KEY, or from the mesh that `imts up` started last.
    """
    if not re.fullmatch(NAME_PATTERN, project):
        raise ValueError("a project is a name: letters, digits, `.`, `_` and `-`, at most 96")
    run_id = _new_run_id()
    journal = Journal.create(folder or runs_folder(environ), run_id)
    run = Run(run_id, journal, Courier(journal.path, environ))
    run.event(RUN_STARTED, {"name": name or run_id, "project": project, "config": dict(config or {})})
    _open_runs.difference_update([other for other in _open_runs if other.is_finished])
    _open_runs.add(run)
    return run


@atexit.register
def _finish_open_runs() -> None:
    fault = getattr(sys, "last_value", None)
    for run in list(_open_runs):
        if fault is None:
            run.finish()
        else:
            run.finish("failed", why=f"{type(fault).__name__}: {fault}"[:500])
