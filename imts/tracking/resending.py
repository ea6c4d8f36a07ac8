"""What dead processes left behind: sent late, in order, and closed with an end."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from imts.client.errors import ClientError
from imts.tracking.journal import journals, runs_folder
from imts.tracking.sender import Sender
from imts.tracking.sending import open_log
from imts.tracking.turn import sending_turn


@dataclass(frozen=True)
class Resent:
    """What one sweep did."""

    runs: int = 0
    """Runs that are over and whole in the log now."""
    events: int = 0
    underway: int = 0
    """Runs that have a sender of their own, or a living process that writes them."""
    waiting: int = 0
    """Runs that could not be sent now."""
    why: str = ""


def resend(folder: Path | None = None, environ: Mapping[str, str] = os.environ) -> Resent:
    """Send every run that nobody sends; one whose process died without a word is closed as failed."""
    runs = events = underway = waiting = 0
    why = ""
    for path in journals(folder or runs_folder(environ)):
        with sending_turn(path) as is_ours:
            if not is_ours:
                underway += 1
                continue
            sender = Sender(path, partial(open_log, environ))
            try:
                is_over = sender.send()
                runs, underway = runs + is_over, underway + (not is_over)
            except (ClientError, OSError) as fault:
                waiting += 1
                why = str(fault)
            events += sender.sent
            sender.close()
    return Resent(runs, events, underway, waiting, why)
