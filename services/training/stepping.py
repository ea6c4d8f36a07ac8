"""Stands in for the trainer's step: keeps each step's loss, leaves bad batches out, tries passing faults again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data._utils.fetch import _MapDatasetFetcher
from transformers import Trainer

from services.training.course import Course
from shared.contracts import events
from shared.contracts.failures import Reason
from shared.worker.attempt import Attempt
from shared.worker.failures.diagnosis import recognise
from shared.worker.failures.faults import faults_of

TRANSIENT = frozenset({Reason.STORAGE_FAILED, Reason.NETWORK_FAILED, Reason.TIMED_OUT, Reason.SHARED_MEMORY_FULL})
"""Faults that may be gone a moment later."""

Step = Callable[..., torch.Tensor]
Read = Callable[[Any, Any], Any]


class Stepping:
    """Remembers the micro-batches of the step under way, so that the whole step can be done again bit for bit."""

    def __init__(self, attempt: Attempt, course: Course, retries: int) -> None:
        self._attempt = attempt
        self._course = course
        self._retries = retries
        self._step = 0
        self._losses: list[tuple[int, torch.Tensor]] = []
        self._batches: list[tuple[Any, Any]] = []
        self._random: list[torch.Tensor] = []
        self._tried = 0

    @property
    def has_begun(self) -> bool:
        """Whether the run has come as far as a step."""
        return self._step > 0

    @property
    def waiting(self) -> int:
        """How many losses nobody has looked at."""
        return len(self._losses)

    @contextmanager
    def in_charge(self) -> Iterator[None]:
        """Every step of any trainer in this process, and every batch it reads, goes through here, until the end."""
        plain, plain_read = Trainer.training_step, _MapDatasetFetcher.fetch
        self._step = 0
        self._losses.clear()

        def training_step(trainer: Trainer, model: Any, inputs: Any, num_items: Any = None) -> torch.Tensor:
            return self._take(plain, trainer, model, inputs, num_items)

        def fetch(fetcher: Any, indices: Any) -> Any:
            return self._read(plain_read, fetcher, indices)

        # Nearer to the trainer would be too late: the generators between it and the rows end at their first fault.
        Trainer.training_step, _MapDatasetFetcher.fetch = training_step, fetch
        try:
            yield
        finally:
            Trainer.training_step, _MapDatasetFetcher.fetch = plain, plain_read
            self._batches.clear()

    def forget(self) -> None:
        """Let go of losses that nobody here will look at."""
        self._losses.clear()

    def losses(self) -> list[tuple[int, float]]:
        """The loss of each step since the last call, its micro-batches added up; one wait for the device."""
        taken, self._losses = self._losses, []
        if not taken:
            return []
        found: dict[int, float] = {}
        for (step, _), loss in zip(taken, torch.stack([loss for _, loss in taken]).tolist(), strict=True):
            found[step] = found.get(step, 0.0) + loss
        return list(found.items())

    def _take(self, plain: Step, trainer: Trainer, model: Any, inputs: Any, num_items: Any) -> torch.Tensor:
        step = trainer.state.global_step + 1
        if step != self._step:
            self._step, self._tried = step, 0
            self._batches.clear()
            self._random = _random_states() if self._retries else []
        if step in self._course.skipped:
            return torch.zeros((), device=trainer.args.device)
        loss = self._try(plain, trainer, model, inputs, num_items)
        self._losses.append((step, loss))
        if self._retries:
            self._batches.append((inputs, num_items))
        return loss

    def _try(self, plain: Step, trainer: Trainer, model: Any, inputs: Any, num_items: Any) -> torch.Tensor:
        is_again = False
        while True:
            try:
                if is_again:
                    self._start_over(plain, trainer, model)
                return plain(trainer, model, inputs, num_items)
            except (OSError, RuntimeError) as fault:
                reason = recognise(faults_of(fault))
                if reason not in TRANSIENT or self._tried >= self._retries:
                    raise
                self._tried += 1
                self._tell(reason, fault, self._tried, "computing")
                is_again = True

    def _read(self, plain: Read, fetcher: Any, indices: Any) -> Any:
        """One batch's rows, read ahead of its step; as often as a step may be tried."""
        state = torch.get_rng_state()
        tried = 0
        while True:
            try:
                return plain(fetcher, indices)
            except (OSError, RuntimeError) as fault:
                reason = recognise(faults_of(fault))
                if reason not in TRANSIENT or tried >= self._retries:
                    raise
                tried += 1
                torch.set_rng_state(state)
                self._tell(reason, fault, tried, "reading")

    def _start_over(self, plain: Step, trainer: Trainer, model: Any) -> None:
        """What the fault left of the step's gradient is dropped, and the micro-batches before it are done again."""
        model.zero_grad()
        for state, put_back in zip(self._random, (torch.set_rng_state, torch.cuda.set_rng_state), strict=False):
            put_back(state)
        for inputs, num_items in self._batches:
            plain(trainer, model, inputs, num_items)

    def _tell(self, reason: Reason, fault: Exception, tries: int, during: str) -> None:
        evidence = {"fault": f"{type(fault).__name__}: {fault}"[:200], "tries": tries, "while": during}
        self._attempt.emit(
            events.SAFEGUARD_STRUCK,
            {
                "safeguard": "step_retry", "sign": reason.value, "step": self._step, "reaction": "tried_again",
                "evidence": evidence,
            },
        )  # fmt: skip


def _random_states() -> list[torch.Tensor]:
    """Of the processor, then of the GPU where there is one."""
    states = [torch.get_rng_state()]
    if torch.cuda.is_initialized():
        states.append(torch.cuda.get_rng_state())
    return states
