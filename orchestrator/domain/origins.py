"""Where a model version is from: the jobs that made it and its bases, and what evaluations found of it."""

from typing import Any, cast

from orchestrator.domain.job import Job
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import JobFilter, UnitOfWork
from shared.contracts.base import JsonObject
from shared.contracts.jobs import Phase
from shared.contracts.work import JobKind, Measured, ModelOrigin

_LONGEST_LINE = 16
"""Of descent; what is older is not told."""
_EVALUATIONS_SEEN = 200
"""The newest ones, among which those of the model are looked for."""


def origins_of(uow: UnitOfWork, model: ModelVersion) -> list[ModelOrigin]:
    """The version's own origin, with its evaluations, then its base's, and so on to what was imported or made."""
    line = [_origin(uow, model).model_copy(update={"evaluations": _evaluations(uow, model)})]
    while model.base_model is not None and len(line) < _LONGEST_LINE:
        base = uow.models.find(model.base_model)
        if base is None:
            break
        model = base
        line.append(_origin(uow, model))
    return line


def _origin(uow: UnitOfWork, model: ModelVersion) -> ModelOrigin:
    job = None if model.job_id is None else uow.jobs.find(model.job_id)
    if job is None:
        return ModelOrigin(
            reference=model.reference, made_at=model.created_at, made_by="import", base_model=model.base_model
        )
    return ModelOrigin(
        reference=model.reference, made_at=model.created_at, made_by=_maker(job), base_model=model.base_model,
        spec=job.spec, datasets=job.inputs.datasets, figures=cast(JsonObject, job.result.get("metrics") or {}),
    )  # fmt: skip


def _maker(job: Job) -> str:
    return str(job.spec["operation"]) if job.kind is JobKind.EXPORT else job.kind.value


def _evaluations(uow: UnitOfWork, model: ModelVersion) -> list[Measured]:
    """The newest on each data set."""
    found: dict[str, Measured] = {}
    for job in uow.jobs.page(JobFilter(JobKind.EVALUATION, Phase.SUCCEEDED), None, _EVALUATIONS_SEEN):
        if job.inputs.models["model"].model_id == model.model_id:
            measured = _measured(job)
            found.setdefault(measured.dataset, measured)
    return list(found.values())


def _measured(job: Job) -> Measured:
    test, baseline = job.inputs.datasets["test"], job.inputs.models.get("baseline")
    result: dict[str, Any] = dict(job.result)
    return Measured(
        dataset=f"{test.name}@{test.version}", metrics=result.get("model") or {},
        baseline=None if baseline is None else f"{baseline.name}@{baseline.version}",
        baseline_metrics=result.get("baseline") or {},
    )  # fmt: skip
