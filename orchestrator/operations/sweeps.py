"""Sweeps: all trials made in one transaction, read together, stopped together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from orchestrator.domain.audit import By, Change
from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.job import Job, NewJob
from orchestrator.domain.ports import Signals, UnitOfWork, UnitsOfWork
from orchestrator.domain.recording import record_moves, record_new
from orchestrator.domain.submission import Submission
from orchestrator.domain.sweep import Sweep, Trial
from orchestrator.domain.trials import expand, with_values
from orchestrator.operations.drafting import spelled, submission_of
from orchestrator.operations.requester import Created, Made, Requester, make_once
from orchestrator.operations.stop import stopping
from orchestrator.operations.submit import Intake
from shared.contracts.base import JsonObject
from shared.contracts.jobs import Phase
from shared.contracts.sweeps import SweepSpec
from shared.contracts.work import JobKind
from shared.kit.clock import Clock
from shared.kit.errors import ImtsError, InvalidRequest, NotFound
from shared.kit.ids import new_id

_SHOWN = 80
"""Characters of a trial's value in a message."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A trial to be, and the names that it needs looked up."""

    job: Job
    submission: Submission


class SweepIntake:
    """Where sweeps come in. Blocking."""

    def __init__(self, units: UnitsOfWork, intake: Intake, clock: Clock, signals: Signals) -> None:
        self._units = units
        self._intake = intake
        self._clock = clock
        self._signals = signals

    def create(self, spec: SweepSpec, requester: Requester) -> Created[Sweep]:
        """Write the sweep and every trial down, or nothing: a fault names the first trial that is refused."""
        fields = spelled(spec.job.fields)
        parameters = {path: spec.parameters[said] for said, path in _paths(spec).items()}
        asked = spec.model_dump(mode="json", exclude_none=True)
        asked |= {"job": {"kind": spec.job.kind.value, **fields}, "parameters": _told(spec)}
        trials = expand(spec.model_copy(update={"parameters": parameters}))
        sweep = Sweep(
            new_id("swp"), JobKind(spec.job.kind), spec.project, spec.name, asked, len(trials), spec.parallelism,
            self._clock.now(), requester.caller,
        )  # fmt: skip
        drafts = [self._draft(sweep, number, fields, values) for number, values in enumerate(trials, 1)]
        swept = make_once(
            self._units, requester, request_hash("sweep", spec.project, asked), sweep.created_at,
            _require, lambda uow: self._make(uow, sweep, drafts),
        )  # fmt: skip
        if not swept.is_replay:
            self._signals.job_changed(drafts[0].job.job_id)
            self._signals.outbox_grew()
        return swept

    def _draft(self, sweep: Sweep, number: int, fields: JsonObject, values: JsonObject) -> _Draft:
        try:
            submission = submission_of(sweep.kind, with_values(fields, values))
        except InvalidRequest as fault:
            raise _of_trial(fault, number, values) from None
        job = self._intake.draft(submission, sweep.project)
        return _Draft(replace(job, sweep=sweep.sweep_id, trial=number, parameters=values), submission)

    def _make(self, uow: UnitOfWork, sweep: Sweep, drafts: Sequence[_Draft]) -> Made[Sweep]:
        subject = subject_of(sweep.sweep_id)
        if (standing := uow.sweeps.find(sweep.sweep_id)) is not None:
            # Run again after a commit whose word was lost: it was carried out.
            return Made(standing, subject, "create_sweep", None)
        acceptance = self._intake.acceptance(uow)
        steps = []
        for draft in drafts:
            try:
                first = acceptance.accept(draft.job, draft.submission)
            except (InvalidRequest, NotFound) as fault:
                raise _of_trial(fault, draft.job.trial or 0, draft.job.parameters) from None
            steps.append((NewJob(first.job, sweep.created_by), first))
        uow.sweeps.add(sweep)
        record_new(uow, steps)
        told: JsonObject = {"trials": sweep.trials, "project": sweep.project, "parallelism": sweep.parallelism}
        return Made(sweep, subject, "create_sweep", told)


def _paths(spec: SweepSpec) -> dict[str, str]:
    """Each swept field as the request spells it, and as jobs do; InvalidRequest when one is named in both cases."""
    return dict(zip(spec.parameters, spelled(dict.fromkeys(spec.parameters)), strict=True))


def _told(spec: SweepSpec) -> JsonObject:
    """The parameters as they are stored."""
    told = spec.model_dump(mode="json", exclude_none=True)["parameters"]
    return {path: told[said] for said, path in _paths(spec).items()}


def _of_trial(fault: ImtsError, number: int, values: JsonObject) -> ImtsError:
    """The same fault, with the trial and, where a swept field is to blame, its value."""
    param = fault.param or ""
    swept = next((path for path in values if _is_within(param, path) or _is_within(path, param)), None)
    at = f"trial {number}"
    if swept is not None:
        at += f" with {swept} = {json.dumps(values[swept])[:_SHOWN]}"
        param = f"parameters.{swept}"
    elif param:
        param = f"job.{param}"
    return type(fault)(f"{at}: {fault.message}", param=param or None, code=fault.code, details={"trial": number})


def _is_within(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.")


def subject_of(sweep_id: str) -> str:
    """A sweep, as the audit names it."""
    return f"sweep:{sweep_id}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A sweep and the phases of its trials."""

    sweep: Sweep
    counts: dict[Phase, int]


def _require(uow: UnitOfWork, sweep_id: str) -> Sweep:
    sweep = uow.sweeps.find(sweep_id)
    if sweep is None:
        raise NotFound("there is no such sweep", code="sweep_not_found", param="sweepId")
    return sweep


def find_sweep(units: UnitsOfWork, sweep_id: str) -> tuple[Standing, list[Trial]]:
    """The sweep with all its trials."""

    def read(uow: UnitOfWork) -> tuple[Standing, list[Trial]]:
        sweep = _require(uow, sweep_id)
        trials = uow.sweeps.trials(sweep_id)
        counts = {phase: sum(trial.phase is phase for trial in trials) for phase in {one.phase for one in trials}}
        return Standing(sweep, counts), trials

    return units.read(read)


def list_sweeps(units: UnitsOfWork, project: str | None, before: str | None, limit: int) -> tuple[list[Standing], bool]:
    """A page, newest first, and whether there are more; trials are counted, not read."""

    def read(uow: UnitOfWork) -> tuple[list[Standing], bool]:
        found = uow.sweeps.page(project, before, limit + 1)
        shown = found[:limit]
        counts = uow.sweeps.counts([sweep.sweep_id for sweep in shown])
        return [Standing(sweep, counts[sweep.sweep_id]) for sweep in shown], len(found) > limit

    return units.read(read)


def stop_sweep(units: UnitsOfWork, signals: Signals, sweep_id: str, by: By) -> None:
    """Stop every trial that is not over, in one transaction: none starts in the place of another."""

    def write(uow: UnitOfWork) -> list[Job]:
        _require(uow, sweep_id)
        jobs = uow.sweeps.stoppable(sweep_id)
        if jobs:
            record_moves(uow, [stopping(job, by.at, "a user stopped its sweep") for job in jobs], by.at)
            told: JsonObject = {"stopped": len(jobs)}
            uow.audit.add(Change(by.at, by.who, "stop_sweep", subject_of(sweep_id), None, told))
        return jobs

    stopped = units.write(write)
    if stopped:
        signals.job_changed(stopped[0].job_id)
        signals.outbox_grew()
