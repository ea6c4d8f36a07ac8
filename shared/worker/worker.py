"""The rules by which a worker takes attempts on, passes on what is asked of them, and sees them end."""

import threading
from collections.abc import Callable
from datetime import datetime

from shared.contracts.commands import Command
from shared.contracts.work import (
    AttemptSpec,
    AttemptState,
    AttemptView,
    Capacity,
    Control,
    ExitReport,
    JobKind,
    Progress,
    Resources,
)
from shared.kit.clock import Clock
from shared.kit.errors import Conflict, InvalidRequest, NotFound, RateLimited, Unavailable
from shared.kit.logs import logger
from shared.worker.commands import NAME as COMMANDS
from shared.worker.commands import append_command, read_commands
from shared.worker.devices.allotment import Allotment
from shared.worker.ending import end_attempt
from shared.worker.executors.seam import Executor
from shared.worker.failures.case import Remains
from shared.worker.folder import AttemptFolder, ControlFile
from shared.worker.liveness import holding
from shared.worker.machine import resources_of
from shared.worker.settings import WorkerSettings
from shared.worker.store import AttemptStore

_STARTS = 3
_MOST_COMMANDS = 1000
_URGENCY = [Control.PREEMPT, Control.PAUSE, Control.STOP]

OnChange = Callable[[AttemptFolder], None]
"""Told of each attempt that was taken on, began or ended; must not block."""

ProgressOf = Callable[[AttemptFolder], Progress]
"""The newest figures that an attempt's log tells."""


class Worker:
    """All decisions about attempts; blocking, safe from any thread, holds no state that its folders do not."""

    def __init__(
        self,
        settings: WorkerSettings,
        kinds: frozenset[JobKind],
        store: AttemptStore,
        executor: Executor,
        clock: Clock,
        on_change: OnChange,
        progress_of: ProgressOf,
        devices: Allotment,
    ) -> None:
        self._settings = settings
        self._kinds = kinds
        self.store = store
        self._executor = executor
        self._clock = clock
        self._on_change = on_change
        self._progress_of = progress_of
        self._turn = threading.RLock()
        self._living: dict[str, AttemptFolder] = {}
        self._devices = devices
        self._whole = resources_of(settings, devices.look())
        self._taken: dict[str, Resources] = {}
        self._begun: set[str] = set()
        self._starts: dict[str, int] = {}
        self.is_draining = False

    def recover(self) -> list[AttemptFolder]:
        """Take up what an earlier process of this service left; answers the attempts still to be reported."""
        self.store.empty()
        with self._turn:
            found = list(self.store.unfinished())
            self._living = {folder.attempt_id: folder for folder in found if not folder.exit.exists()}
            self._taken = {name: self.store.spec_of(folder).resources for name, folder in self._living.items()}
            for folder in self._living.values():
                self._devices.recall(folder)
            logger.info("{} attempts found unfinished", len(self._living))
        return [folder for folder in found if not folder.reported.exists()]

    def accept(self, spec: AttemptSpec) -> bool:
        """Take an attempt on; false when it was taken on before. The same id never runs twice."""
        self._devices.look()
        with self._turn:
            folder = self.store.folder(spec.attempt_id)
            if folder.spec.exists():
                self.store.check_same(folder, spec)
                return False
            self._check_may_start(spec)
            folder = self.store.save(spec)
            self._living[spec.attempt_id] = folder
            self._taken[spec.attempt_id] = spec.resources
            self._devices.allot(folder, spec.resources.gpus)
            self._start(folder)
        self._on_change(folder)
        return True

    def _check_may_start(self, spec: AttemptSpec) -> None:
        if spec.kind not in self._kinds:
            raise InvalidRequest(f"this worker does not run {spec.kind} jobs", param="kind", code="wrong_kind")
        if spec.attempt_id != f"{spec.job_id}.{spec.number}":
            raise InvalidRequest("attempt_id must be `<job_id>.<number>`", param="attempt_id")
        for other in self.store.of_job(spec.job_id):
            if other.number > spec.number:
                raise Conflict(f"attempt {other.attempt_id} is newer", code="attempt_superseded")
            if other.attempt_id in self._living:
                raise Conflict(f"attempt {other.attempt_id} is still alive here", code="older_attempt_alive")
        self._check_has_room(spec)

    def _check_has_room(self, spec: AttemptSpec) -> None:
        """Refuse what there is no room for, once and for all: the job may run elsewhere when a late request comes."""
        refusal = self.store.refusal_of(self.store.folder(spec.attempt_id))
        if refusal is None and self.is_draining:
            refusal = Unavailable("this worker is draining", code="draining")
        elif refusal is None and (lacks := self._lacks(spec.resources)):
            refusal = RateLimited(f"not enough {' and '.join(lacks)} free", code="no_capacity", retry_after_s=1)
        if refusal is not None:
            self.store.refuse(spec.attempt_id, refusal)
            raise refusal

    def _lacks(self, wanted: Resources) -> list[str]:
        room = self.capacity()
        pairs = {
            "slots": (room.free, wanted.slots), "gpus": (room.free_gpus, wanted.gpus),
            "memory": (room.free_memory_gb, wanted.memory_gb),
        }  # fmt: skip
        return [name for name, (has, needs) in pairs.items() if needs > has]

    def _start(self, folder: AttemptFolder) -> bool:
        """Set processes to work; true when that failed so often that the attempt is ended instead."""
        tried = self._starts.get(folder.attempt_id, 0)
        self._starts[folder.attempt_id] = tried + 1
        if tried >= _STARTS:
            return self._end(folder, Remains(start_fault=f"its processes died {tried} times before they took it on"))
        logger.info("attempt {} starts", folder.attempt_id)
        self._executor.start(folder)
        return False

    def view(self, attempt_id: str) -> AttemptView:
        """Where an attempt is, and the newest figures of its log."""
        folder = self.store.find(attempt_id)
        report = self.store.exit_of(folder)
        started_at = self.store.started_at(folder)
        state = AttemptState.RUNNING if started_at else AttemptState.ACCEPTED
        return AttemptView(
            attempt_id=attempt_id, state=AttemptState.ENDED if report else state, exit=report,
            progress=self._progress_of(folder), started_at=datetime.fromisoformat(started_at) if started_at else None,
            idle_s=self._idle_s(folder) if started_at and not report else None,
        )  # fmt: skip

    def _idle_s(self, folder: AttemptFolder) -> float:
        """How long the attempt has written nothing, by this machine's clock alone."""
        newest = max(path.stat().st_mtime for path in (folder.events, folder.shepherd) if path.exists())
        return max(self._clock.now().timestamp() - newest, 0.0)

    def result(self, attempt_id: str) -> ExitReport:
        """How an attempt ended."""
        report = self.store.exit_of(self.store.find(attempt_id))
        if report is None:
            raise Conflict(f"attempt {attempt_id} has not ended", code="attempt_not_ended")
        return report

    def control(self, attempt_id: str, wish: Control) -> None:
        """Ask for an end; asking again changes nothing, a stop overrules a pause, a pause a preemption."""
        with self._turn:
            folder = self._find_or_refuse(attempt_id)
            if folder.exit.exists():
                return
            deadline = self._clock.now().timestamp() + self._settings.stop_grace_s
            asked = folder.read_control()
            if asked is not None:
                if _URGENCY.index(wish) <= _URGENCY.index(Control(asked["control"])):
                    return
                deadline = min(deadline, asked["deadline"])
            self._executor.signal(folder, ControlFile(control=wish.value, deadline=deadline))
            was_never_started = not folder.shepherd.exists() and self._end(folder, Remains())
        if was_never_started:
            self._on_change(folder)

    def command(self, attempt_id: str, command: Command) -> None:
        """Write a command down for the engine; Conflict when the attempt has ended or is about to."""
        with self._turn:
            folder = self.store.find(attempt_id)
            if folder.exit.exists() or folder.read_control() is not None:
                raise Conflict(f"attempt {attempt_id} is over or about to end", code="attempt_ending")
            path = folder.work / COMMANDS
            if len(read_commands(path)) >= _MOST_COMMANDS:
                raise Conflict(f"a job takes {_MOST_COMMANDS} commands and no more", code="too_many_commands")
            append_command(path, command.model_dump(mode="json"))

    def _find_or_refuse(self, attempt_id: str) -> AttemptFolder:
        """An attempt that is told to end before it came never runs here: its start may be on its way."""
        try:
            return self.store.find(attempt_id)
        except NotFound:
            unwanted = Conflict(f"attempt {attempt_id} was told to end before it came", code="attempt_unwanted")
            self.store.refuse(attempt_id, unwanted)
            raise

    def remove(self, attempt_id: str) -> None:
        """Delete what an attempt left; Conflict while it lives, which a stop ends, or while its log is not all told."""
        with self._turn:
            folder = self.store.folder(attempt_id)
            if attempt_id in self._living:
                self.control(attempt_id, Control.STOP)
                raise Conflict(f"attempt {attempt_id} is still alive here; it was told to stop", code="attempt_alive")
            if folder.spec.exists() and not folder.reported.exists():
                raise Conflict(f"the log has not heard all of attempt {attempt_id}", code="attempt_not_reported")
            self.store.discard(folder)
        self.store.empty()

    def drain(self) -> None:
        """Refuse new attempts and preempt the living ones."""
        with self._turn:
            self.is_draining = True
            for attempt_id in list(self._living):
                self.control(attempt_id, Control.PREEMPT)

    def capacity(self) -> Capacity:
        """What there is for attempts, and what of it no living attempt was promised."""
        with self._turn:
            taken, spares = list(self._taken.values()), self._executor.spares()
        whole, is_open = self._whole, not self.is_draining
        return Capacity(
            slots=whole.slots, free=is_open * max(0, whole.slots - sum(one.slots for one in taken)),
            spares=spares, draining=self.is_draining,
            gpus=whole.gpus, free_gpus=is_open * max(0, whole.gpus - sum(one.gpus for one in taken)),
            memory_gb=whole.memory_gb,
            free_memory_gb=is_open * max(0.0, whole.memory_gb - sum(one.memory_gb for one in taken)),
            devices=self._devices.known(),
        )  # fmt: skip

    @property
    def running(self) -> int:
        """How many attempts live here."""
        return len(self._living)

    def is_idle(self) -> bool:
        """Whether no attempt lives here."""
        return not self._living

    def tick(self) -> None:
        """Look at every living attempt once: note ends and beginnings, start what never was, end what was lost."""
        with self._turn:
            self._executor.upkeep(is_busy=bool(self._living))
            changed = [folder for folder in list(self._living.values()) if self._look_at(folder)]
        for folder in changed:
            self._on_change(folder)

    def close(self) -> None:
        """Let go; attempts run on."""
        with self._turn:
            self._executor.close()

    def _look_at(self, folder: AttemptFolder) -> bool:
        """Whether the attempt began or ended since the last look."""
        if folder.exit.exists():
            return self._forget(folder)
        if self._executor.adopt(folder):
            has_begun = folder.attempt_id not in self._begun and folder.shepherd.exists()
            if has_begun:
                self._begun.add(folder.attempt_id)
            return has_begun
        if folder.shepherd.exists() or folder.ending.exists():
            return self._end(folder, Remains(is_lost=True))
        if folder.attempt_id not in self._executor.list():
            if folder.read_control() is not None:
                return self._end(folder, Remains())
            return self._start(folder)
        return False

    def _end(self, folder: AttemptFolder, remains: Remains) -> bool:
        """End an attempt without a living shepherd; false when one turns out to live."""
        with holding(folder.lock) as is_ours:
            if not is_ours or (folder.shepherd.exists() and not remains.is_lost):
                return False
            if remains.is_lost and not folder.exit.exists():
                logger.warning("attempt {} lost its shepherd", folder.attempt_id)
                self._executor.bury(folder)
            end_attempt(folder, remains)
        return self._forget(folder)

    def _forget(self, folder: AttemptFolder) -> bool:
        self._starts.pop(folder.attempt_id, None)
        self._begun.discard(folder.attempt_id)
        self._taken.pop(folder.attempt_id, None)
        self._devices.release(folder.attempt_id)
        return self._living.pop(folder.attempt_id, None) is not None
