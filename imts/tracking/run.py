"""A run of any trainer, as its script sees it."""

import logging
import os
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Literal, Self

from imts.tracking.courier import Courier
from imts.tracking.journal import Journal
from imts.tracking.lines import encode
from shared.contracts.events import METRICS_UPDATE, RUN_FINISHED

Status = Literal["succeeded", "failed", "stopped"]
_FLUSH_S = 5.0
logger = logging.getLogger("imts.tracking")


class Run:
    """Takes what a trainer says; a call writes one line to a file and returns, whatever the server does."""

    def __init__(self, run_id: str, journal: Journal, courier: Courier) -> None:
        self.run_id = run_id
        self._journal = journal
        self._courier = courier
        self._step = -1
        self._process = os.getpid()
        self._has_warned = False
        self.is_finished = False

    def log(self, values: Mapping[str, object], *, step: int | None = None, at: datetime | None = None) -> None:
        """Figures of one step, the step after the last one when none is given; NaN and Infinity arrive as null."""
        self._step = self._step + 1 if step is None else int(step)
        self.event(METRICS_UPDATE, {**values, "step": self._step}, at)

    def event(self, event_type: str, data: Mapping[str, object], at: datetime | None = None) -> None:
        """Anything else that happened: `checkpoint_saved`, `log`, a word of your own."""
        if self.is_finished:
            raise RuntimeError(f"{self.run_id} is finished; start another run")
        self._write(encode(event_type, data, at))
        self._courier.mind()

    def _write(self, line: bytes, *, is_last: bool = False) -> None:
        try:
            self._journal.append(line, is_last=is_last)
        except OSError as fault:
            # A full disk must not end a training.
            if not self._has_warned:
                logger.warning("events of %s are lost: %s", self.run_id, fault)
            self._has_warned = True

    def finish(self, status: Status = "succeeded", *, why: str = "", within_s: float = _FLUSH_S) -> bool:
        """End the run and wait, for at most `within_s`, until the log has it; False: the rest is sent later."""
        if self.is_finished or os.getpid() != self._process:
            return self.is_finished
        self.is_finished = True
        # Without its last word a run ends as one whose process died: the sender needs nothing more from here.
        self._write(encode(RUN_FINISHED, {"status": status, "why": why}), is_last=True)
        self._journal.close()
        has_sent_all = self._courier.wait(within_s)
        if not has_sent_all:
            logger.warning("%s is not all in the log yet; the rest follows, or `imts sync` sends it", self.run_id)
        return has_sent_all

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            is_stopped = issubclass(kind, KeyboardInterrupt)
            self.finish("stopped" if is_stopped else "failed", why=f"{kind.__name__}: {fault}"[:500])
