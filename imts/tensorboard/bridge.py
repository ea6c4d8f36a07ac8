"""A log folder, tailed into a run: files that appear are picked up, sub-folders keep their names apart."""

import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from imts.client.errors import ClientError
from imts.tensorboard.records import RecordFile
from imts.tensorboard.scalars import Scalar, scalars
from imts.tracking.run import Run
from shared.contracts.events import MAX_SEQ

_NAMES = {
    "train/loss": "train_loss", "Loss/train": "train_loss", "loss": "train_loss", "eval/loss": "val_loss",
    "Loss/val": "val_loss", "val/loss": "val_loss", "Loss/test": "val_loss", "train/learning_rate": "learning_rate",
    "lr": "learning_rate", "Accuracy/train": "train_accuracy", "train/epoch": "epoch",
    "eval/accuracy": "val_accuracy", "Accuracy/val": "val_accuracy", "Accuracy/test": "val_accuracy",
}  # fmt: skip
_GRADIENT_NORM = frozenset({"train/grad_norm", "grad_norm", "gradient_norm"})
_YEARS = range(1970, 3000)
_POLL_S = 0.05


def _moment(wall_time: float) -> datetime | None:
    try:
        moment = datetime.fromtimestamp(wall_time, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if moment.year in _YEARS else None


class Bridge:
    """What of a folder has been read."""

    def __init__(self, folder: Path, run: Run) -> None:
        if not folder.is_dir():
            raise ClientError(f"{folder} is not a folder")
        self._folder = folder
        self._run = run
        self._files: dict[Path, RecordFile] = {}

    def poll(self) -> int:
        """Log what was written since the last look; how many scalars that was."""
        for path in sorted(self._folder.rglob("*tfevents*")):
            if path not in self._files and path.is_file():
                self._files[path] = RecordFile(path)
        return sum(self._take(file) for file in self._files.values())

    def _take(self, file: RecordFile) -> int:
        place = file.path.parent.relative_to(self._folder).as_posix()
        prefix = "" if place == "." else f"{place}/"
        count = 0
        try:
            found = (scalar for record in file.read() for scalar in scalars(record) if 0 <= scalar.step <= MAX_SEQ)
            for step, group in groupby(found, key=lambda scalar: scalar.step):
                count += self._log(prefix, step, group)
        except FileNotFoundError:
            del self._files[file.path]
        return count

    def _log(self, prefix: str, step: int, group: Iterable[Scalar]) -> int:
        figures: dict[str, object] = {}
        at: datetime | None = None
        count = 0
        for scalar in group:
            count += 1
            at = _moment(scalar.wall_time) if math.isfinite(scalar.wall_time) else None
            if not prefix and scalar.tag in _GRADIENT_NORM:
                figures["advanced_metrics"] = {"gradient_norm": scalar.value}
            else:
                figures[prefix + scalar.tag if prefix else _NAMES.get(scalar.tag, scalar.tag)] = scalar.value
        self._run.log(figures, step=step, at=at)
        return count

    def follow(self, quiet_s: float | None, sleep: Callable[[float], None] = time.sleep) -> int:
        """Poll for ever, or until nothing has been written for `quiet_s`; how many scalars there were."""
        total = 0
        heard = time.monotonic()
        while True:
            if count := self.poll():
                total += count
                heard = time.monotonic()
            elif quiet_s is not None and time.monotonic() - heard >= quiet_s:
                return total
            else:
                sleep(_POLL_S)
