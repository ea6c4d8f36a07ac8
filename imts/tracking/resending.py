"""What dead processes left behind: sent late, in order, and closed with an end."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from imts.client.errors import ClientError
from imts.client.transport import Transport
from imts.tracking.journal import Journal, journals
from imts.tracking.lines import encode
from imts.tracking.sending import Delivery, LogIsClosed, open_log
from imts.tracking.unsent import Unsent
from shared.contracts.events import RUN_FINISHED


@dataclass(frozen=True)
class Resent:
    """What one sweep did."""

    runs: int = 0
    events: int = 0
    waiting: int = 0
    """Runs that could not be sent now."""
    why: str = ""


def runs_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the runs of this user wait until the log has them."""
    if chosen := environ.get("IMTS_RUNS_DIR"):
        return Path(chosen)
    return Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "imts" / "runs"


def resend(folder: Path | None = None, connect: Callable[[], Transport] = open_log) -> Resent:
    """Send every run whose process is gone; one that never said how it ended is closed as failed."""
    runs = events = waiting = 0
    why = ""
    for path in journals(folder or runs_folder()):
        journal = Journal.adopt(path)
        if journal is None:
            continue
        try:
            events += _send(journal, connect)
            runs += 1
        except (ClientError, OSError) as fault:
            waiting += 1
            why = str(fault)
            journal.close()
    return Resent(runs, events, waiting, why)


def _send(journal: Journal, connect: Callable[[], Transport]) -> int:
    delivery = Delivery(journal.path.stem, Unsent(journal.path), connect)
    try:
        delivery.resume()
        if not _has_ended(journal.last_line()):
            journal.append(encode(RUN_FINISHED, {"status": "failed", "why": "its process ended without a word"}))
        while delivery.step():
            pass
    except LogIsClosed:
        # The log ended this run for good: nothing that is left here will ever be taken.
        pass
    finally:
        delivery.close()
    journal.remove()
    return delivery.sent


def _has_ended(line: bytes) -> bool:
    try:
        event = json.loads(line)
    except ValueError:
        return False
    return isinstance(event, dict) and event.get("event_type") == RUN_FINISHED
