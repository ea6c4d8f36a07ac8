"""From where a run goes on: at its start, and after each safeguard that ended the trainer's loop."""

from pathlib import Path

from services.training import checkpoints
from services.training.callbacks.memory_guard import MemoryShort
from services.training.callbacks.watchdog import Struck
from services.training.checkpoints import Checkpoint, SetAside
from services.training.course import Course, Restart
from services.training.loss_signs import Sign
from shared.contracts import events
from shared.contracts.failures import Reason
from shared.contracts.training import TrainingSpec
from shared.worker.attempt import Attempt
from shared.worker.failures.diagnosis import recognise
from shared.worker.failures.faults import faults_of

SET_ASIDE = "set_aside"
OUT_OF_MEMORY = frozenset({Reason.OUT_OF_MEMORY_GPU, Reason.OUT_OF_MEMORY_HOST})
_TOO_CLOSE = 2
"""Steps after a checkpoint within which trouble is likely to lie in the checkpoint itself."""
_SLOWER = 0.5


def is_recoverable(fault: Exception, spec: TrainingSpec, course: Course, *, has_begun: bool) -> bool:
    """Whether the same attempt may go on after this fault: it was asked for, or memory ran out in the middle of it."""
    if isinstance(fault, Struck | Restart | MemoryShort):
        return True
    rows = course.batch_size or spec.own_batches[0]
    return spec.oom_recovery and has_begun and rows > 1 and recognise(faults_of(fault)) in OUT_OF_MEMORY


def unwound(fault: Exception) -> Exception:
    """The fault and its causes without their tracebacks, which would keep the ended run's memory."""
    link: BaseException | None = fault
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return fault


class Recovery:
    """Chooses checkpoints, changes the course, and tells both."""

    def __init__(self, attempt: Attempt, spec: TrainingSpec, course: Course, output: Path) -> None:
        self._attempt = attempt
        self._spec = spec
        self._course = course
        self._output = output
        self._from = 0

    def begin(self) -> Checkpoint | None:
        """The newest good checkpoint, told to the log before anything else when steps will be repeated."""
        checkpoint, refused = self._newest_good()
        if checkpoint is not None or self._attempt.spec.number > 1:
            self._rewind(self._from, self._attempt.spec.cause.value)
        self._tell_refused(refused)
        return checkpoint

    def after(self, fault: Exception) -> Checkpoint | None:
        """Where to go on after what ended the loop; None is the very beginning."""
        if isinstance(fault, Struck):
            return self._after_strike(fault.sign)
        if isinstance(fault, Restart):
            return self._look()[0]
        if isinstance(fault, MemoryShort):
            return self._with_smaller_batches("memory_guard", "memory_short", fault.evidence)
        evidence: dict[str, object] = {"fault": f"{type(fault).__name__}: {fault}"[:200]}
        return self._with_smaller_batches("out_of_memory", recognise(faults_of(fault)).value, evidence)

    def _after_strike(self, sign: Sign) -> Checkpoint | None:
        """One from before the trouble; the course is slower from there, and past the batches it came with."""
        course = self._course
        is_close = sign.step <= self._from + _TOO_CLOSE
        spoilt = min(sign.step, self._from) if is_close and self._from else sign.step
        checkpoints.drop_from(self._output, spoilt)
        course.forget_from(spoilt)
        before = course.learning_rate_at(sign.step) or self._spec.learning_rate
        found, to_step = self._look()
        course.rollbacks += 1
        course.skipped = sorted({*course.skipped, *sign.skip})
        course.set_learning_rate(to_step, before * _SLOWER)
        course.save()
        self._tell_strike(sign, to_step, before)
        self._rewind(to_step, sign.kind)
        return found

    def _with_smaller_batches(self, safeguard: str, sign: str, evidence: dict[str, object]) -> Checkpoint | None:
        """Fewer rows at a time, as many more times: the same global batch."""
        rows, times = self._course.shrink(*self._spec.own_batches)
        self._course.save()
        found, to_step = self._look()
        told = {"safeguard": safeguard, "sign": sign, "step": to_step, "evidence": evidence, "to_step": to_step}
        sizes = {"batch_size": rows, "gradient_accumulation_steps": times}
        self._attempt.emit(events.SAFEGUARD_STRUCK, {**told, "reaction": "smaller_batches", **sizes})
        self._rewind(to_step, sign)
        return found

    def _tell_strike(self, sign: Sign, to_step: int, before: float) -> None:
        course = self._course
        self._attempt.emit(
            events.SAFEGUARD_STRUCK,
            {
                "safeguard": "loss_watchdog", "sign": sign.kind, "step": sign.step, "evidence": sign.evidence,
                "reaction": "rolled_back", "to_step": to_step, "skipped_steps": list(sign.skip),
                "learning_rate": {"from": before, "to": before * _SLOWER},
                "rollbacks": course.rollbacks, "max_rollbacks": self._spec.max_rollbacks,
            },
        )  # fmt: skip

    def _rewind(self, to_step: int, cause: str) -> None:
        self._attempt.emit(events.TRAINING_REWOUND, {"to_step": to_step, "cause": cause})

    def _look(self) -> tuple[Checkpoint | None, int]:
        checkpoint, refused = self._newest_good()
        self._tell_refused(refused)
        return checkpoint, self._from

    def _newest_good(self) -> tuple[Checkpoint | None, list[SetAside]]:
        checkpoint, refused = checkpoints.newest_good(self._output, self._attempt.work / SET_ASIDE)
        checkpoints.clear_output(self._output)
        self._from = checkpoint.step if checkpoint else 0
        return checkpoint, refused

    def _tell_refused(self, refused: list[SetAside]) -> None:
        for item in refused:
            message = f"the checkpoint of step {item.step} is not used: {item.fault}"
            self._attempt.emit(events.LOG, {"level": "warning", "message": message, "step": item.step})
