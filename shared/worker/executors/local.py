"""Attempts as pairs of processes on this machine."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from shared.contracts.work import AttemptSpec
from shared.kit.clock import Clock
from shared.worker.devices.allotment import visible_to
from shared.worker.folder import AttemptFolder, ControlFile
from shared.worker.liveness import is_held
from shared.worker.pair import Assignment, Pair, Recipe
from shared.worker.processes import kill_orphans
from shared.worker.settings import WorkerSettings
from shared.worker.spares import Spares


def absolute_store(url: str) -> str:
    """A store's address that means the same in every folder."""
    return url if "://" in url else str(Path(url).resolve())


class LocalExecutor:
    """Takes a spare pair or starts a new one; a pair outlives this object and its process."""

    def __init__(
        self, settings: WorkerSettings, recipe: Recipe, cache: Path, clock: Clock,
        next_visible: Callable[[], dict[str, str]] = dict,
    ) -> None:  # fmt: skip
        self._next_visible = next_visible
        self._settings = settings
        self._recipe = recipe
        self._cache = cache
        self._spare_log = cache / "spares.log"
        self._pairs: dict[str, Pair] = {}
        self._spares = Spares(self._start_spare, settings.spares, settings.spare_refill_s, clock)

    def _start_spare(self, low_priority: bool) -> Pair:
        return Pair(replace(self._recipe, visible=self._next_visible()), self._spare_log, low_priority=low_priority)

    def start(self, folder: AttemptFolder) -> None:
        assignment = Assignment(
            folder=str(folder.path), artifacts_url=absolute_store(self._settings.artifacts), cache=str(self._cache),
            stop_grace_s=self._settings.stop_grace_s, output_bytes=self._settings.output_bytes,
        )  # fmt: skip
        visible = visible_to(folder)
        recipe = self._recipe.fitting(AttemptSpec.model_validate_json(folder.spec.read_bytes()))
        pair = self._spares.take(visible) if recipe is self._recipe else None
        if pair is None or not pair.assign(assignment):
            pair = Pair(replace(recipe, visible=visible), folder.stdout, folder.attempt_id)
            pair.assign(assignment)
        self._pairs[folder.attempt_id] = pair

    def adopt(self, folder: AttemptFolder) -> bool:
        return is_held(folder.lock)

    def list(self) -> set[str]:
        return set(self._pairs)

    def signal(self, folder: AttemptFolder, asked: ControlFile) -> None:
        folder.write_control(asked)

    def bury(self, folder: AttemptFolder) -> None:
        kill_orphans(folder.stdout)

    def spares(self) -> int:
        return self._spares.ready()

    def upkeep(self, *, is_busy: bool) -> None:
        self._pairs = {attempt_id: pair for attempt_id, pair in self._pairs.items() if not pair.is_gone()}
        self._spares.refill(is_busy=is_busy)

    def close(self) -> None:
        self._spares.dismiss()
