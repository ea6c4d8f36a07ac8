"""Runs the reading of an upload in a process of its own, so that no file can hurt the service or keep its memory."""

import asyncio
import json
import re
import signal
import sys
from dataclasses import asdict
from pathlib import Path, PurePath
from typing import IO

from pydantic import ValidationError

from shared.contracts.problems import Problem, ProblemBody
from shared.datasets.faults import too_large, unreadable
from shared.datasets.ingest import REFUSED, STORAGE_FULL, IngestReport
from shared.datasets.limits import Limits
from shared.kit.errors import ImtsError, InvalidRequest, ServerFault, TooLarge, Unavailable
from shared.kit.logs import logger

_ENDING = re.compile(r"\.[A-Za-z0-9]{1,10}")
_ENVIRONMENT = {
    "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore",
}  # fmt: skip
_TOO_SLOW = frozenset({signal.SIGXCPU, signal.SIGKILL})


async def ingest_in_child(
    source: IO[bytes], filename: str, form_name: str, target: Path, limits: Limits
) -> IngestReport:
    """Normalise `source`, a real file at its beginning, into `target`; refusals come back as the same errors."""
    ending = PurePath(filename).suffix
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-m", "shared.datasets.ingest",
        f"--target={target}", f"--format={form_name}", f"--limits={json.dumps(asdict(limits))}",
        f"--filename=upload{ending if _ENDING.fullmatch(ending) else ''}",
        stdin=source, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_ENVIRONMENT,
    )  # fmt: skip
    try:
        out, err = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return _report(process.returncode or 0, out, err)


def _report(code: int, out: bytes, err: bytes) -> IngestReport:
    try:
        if code == 0:
            return IngestReport.model_validate_json(out)
        if code == REFUSED:
            raise _refusal(ProblemBody.model_validate_json(out).error)
    except ValidationError:
        raise ServerFault("the data set reader answered in a shape we do not know") from None
    if code < 0 and -code in _TOO_SLOW:
        raise too_large("the file takes too long to read; split it")
    if code < 0:
        raise unreadable("the file broke its reader: it is damaged, or unpacks into more memory than an upload may use")
    logger.error("the data set reader failed with status {}: {}", code, err[-2000:].decode(errors="replace"))
    raise ServerFault("the data set reader failed; the request id finds it in the logs")


def _refusal(problem: Problem) -> ImtsError:
    kinds: dict[str, type[ImtsError]] = {TooLarge.code: TooLarge, STORAGE_FULL: Unavailable}
    kind = kinds.get(problem.code, InvalidRequest)
    return kind(problem.message, param=problem.param, code=problem.code, details=problem.details)
