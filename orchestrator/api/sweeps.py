"""`/api/sweeps`: one request for many jobs that differ in some fields."""

from typing import Annotated

from fastapi import Path, Query, Response

from orchestrator.api.created import mark_created
from orchestrator.api.pagination import PageSize
from orchestrator.dependencies import CallerDep, Clocked, IdempotencyKeyHeader, SignalsDep, SweepIntakeDep, Units
from orchestrator.domain.audit import By
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.domain.sweep import Trial, best_of, status_of, value_of, why_of
from orchestrator.operations.requester import Requester
from orchestrator.operations.sweeps import Standing, find_sweep, list_sweeps, stop_sweep
from shared.contracts.base import Name, SweepId
from shared.contracts.sweeps import Objective, SweepDetail, SweepPage, SweepSpec, SweepView, TrialView
from shared.kit.application import api_router

routes = api_router("/api/sweeps", "sweeps")
Cursor = Annotated[SweepId | None, Query(description="`nextCursor` of the page before")]
Identity = Annotated[SweepId, Path()]


def _view(standing: Standing) -> SweepView:
    sweep = standing.sweep
    return SweepView(
        sweep_id=sweep.sweep_id, name=sweep.name, project=sweep.project, kind=sweep.kind,
        status=status_of(standing.counts), why=why_of(standing.counts, sweep.trials), trials=sweep.trials,
        counts=standing.counts, spec=sweep.spec, created_at=sweep.created_at, created_by=sweep.created_by,
    )  # fmt: skip


def _trial_view(trial: Trial, objective: Objective | None) -> TrialView:
    return TrialView(
        trial=trial.number, job_id=trial.job_id, status=trial.phase, why=trial.why, parameters=trial.parameters,
        progress=trial.fraction, value=None if objective is None else value_of(trial, objective.metric),
    )  # fmt: skip


def _detail(units: UnitsOfWork, sweep_id: str) -> SweepDetail:
    standing, trials = find_sweep(units, sweep_id)
    said = standing.sweep.spec.get("objective")
    objective = None if said is None else Objective.model_validate(said, extra="ignore")
    best = None if objective is None else best_of(trials, objective)
    return SweepDetail(
        **_view(standing).model_dump(by_alias=False),
        best=None if best is None else _trial_view(best, objective),
        children=[_trial_view(trial, objective) for trial in trials],
    )


@routes.post("", status_code=202)
def create(
    spec: SweepSpec,
    intake: SweepIntakeDep,
    units: Units,
    caller: CallerDep,
    response: Response,
    idempotency_key: IdempotencyKeyHeader = None,
) -> SweepDetail:
    """Make a job of every trial, or none: all are checked as submissions first. The same key answers the same sweep."""
    swept = intake.create(spec, Requester(caller.name, spec.project, idempotency_key))
    sweep_id = swept.thing.sweep_id
    mark_created(response, f"/api/sweeps/{sweep_id}", is_replay=swept.is_replay)
    return _detail(units, sweep_id)


@routes.get("")
def list_all(
    units: Units,
    project: Annotated[Name | None, Query()] = None,
    cursor: Cursor = None,
    limit: PageSize = 50,
) -> SweepPage:
    """Newest first, with trials counted by status."""
    shown, has_more = list_sweeps(units, project, cursor, limit)
    return SweepPage(
        data=[_view(standing) for standing in shown], has_more=has_more,
        next_cursor=shown[-1].sweep.sweep_id if has_more else None,
    )  # fmt: skip


@routes.get("/{sweep_id}")
def get_one(sweep_id: Identity, units: Units) -> SweepDetail:
    """Where it is, each trial with its parameters and the objective's newest value, and the best that succeeded."""
    return _detail(units, sweep_id)


@routes.post("/{sweep_id}/stop", status_code=202)
def stop(sweep_id: Identity, units: Units, signals: SignalsDep, clock: Clocked, caller: CallerDep) -> SweepDetail:
    """Stop every trial that is not over; what was done so far stays."""
    stop_sweep(units, signals, sweep_id, By(caller.name, clock.now()))
    return _detail(units, sweep_id)
