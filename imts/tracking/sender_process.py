"""The process that sends one run, beside its trainer and, when the log is slow or away, for a while after it."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from setproctitle import setproctitle

from imts.client.errors import ClientError, ImtsApiError
from imts.tracking.courier import GAVE_UP
from imts.tracking.resending import resend
from imts.tracking.sender import Sender
from imts.tracking.sending import open_log
from imts.tracking.turn import sending_turn

_LINGER_S = 0.05
"""Events that come within this time go together."""
_QUIET_S = 0.1
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_PATIENCE_S = 600.0
_NICENESS = 10
"""The trainer goes first."""
_OUTPUT = 1
_ERRORS = 2


def _tell(message: str) -> None:
    """A line for the trainer, which may be gone."""
    with contextlib.suppress(OSError):
        os.write(_OUTPUT, message.encode() + b"\n")


def _hang_up() -> None:
    """The trainer takes this for our end: what other runs left is none of its business."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (_OUTPUT, _ERRORS):
        os.dup2(nowhere, output)


def _may_pass(fault: Exception) -> bool:
    """Whether waiting alone can mend it: a refusal stays until a person does something."""
    return not isinstance(fault, ImtsApiError) or fault.status >= 500 or fault.status == 429


class Watch:
    """Sends as the trainer writes; its patience is what it waits for the log once the trainer is gone."""

    def __init__(self, sender: Sender, name: str, patience_s: float, on_first_sent: Callable[[], None]) -> None:
        self._sender = sender
        self._name = name
        self._patience_s = patience_s
        self._on_first_sent = on_first_sent
        self._rest_s = _LINGER_S
        self._pause_s = _FIRST_PAUSE_S
        self._away_since: float | None = None

    def keep(self) -> bool:
        """Until the run is over and sent; false when the rest has to wait for the next start or `imts sync`."""
        while True:
            before = self._sender.sent
            try:
                if self._sender.send():
                    break
            except (ClientError, OSError) as fault:
                if self._gives_up(fault):
                    return False
                time.sleep(self._pause_s)
                self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
            else:
                self._note_news(self._sender.sent > before, is_first=before == 0)
                time.sleep(self._rest_s)
        if self._sender.was_closed:
            _tell(f"the log of {self._name} has ended; what is logged now stays unsent")
        return True

    def _note_news(self, has_news: bool, *, is_first: bool) -> None:
        self._away_since = None
        self._pause_s = _FIRST_PAUSE_S
        self._rest_s = _LINGER_S if has_news else min(self._rest_s * 1.5, _QUIET_S)
        if has_news and is_first:
            self._on_first_sent()

    def _gives_up(self, fault: Exception) -> bool:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
            _tell(f"events of {self._name} wait on this machine: {fault}")
        has_patience = _may_pass(fault) and now - self._away_since < self._patience_s
        if has_patience:
            return False
        try:
            return self._sender.has_taken_over()
        except OSError:
            # The disk is full: what is in memory stays there for whoever comes next.
            return True


def main(environ: Mapping[str, str] = os.environ) -> None:
    """`… JOURNAL`: send it, then what dead processes left beside it."""
    path = Path(sys.argv[1])
    os.nice(_NICENESS)
    setproctitle(f"imts:sender:{path.stem}")
    sweep = threading.Thread(target=resend, args=(path.parent, environ), name="imts-resend", daemon=True)
    is_done = True
    with sending_turn(path) as is_ours:
        if is_ours:
            patience_s = float(environ.get("IMTS_SENDER_PATIENCE_S") or _PATIENCE_S)
            sender = Sender(path, partial(open_log, environ))
            is_done = Watch(sender, path.stem, patience_s, sweep.start).keep()
            sender.close()
    _hang_up()
    if sweep.ident is not None:
        sweep.join()
    sys.exit(0 if is_done else GAVE_UP)
