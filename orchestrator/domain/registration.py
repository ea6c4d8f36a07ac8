"""How a job's success becomes a version of a model."""

from datetime import datetime
from typing import Any, cast

from orchestrator.domain.audit import Change
from orchestrator.domain.job import Job
from orchestrator.domain.model import AddedModel, ModelRepository, ModelVersion
from orchestrator.domain.ports import UnitOfWork
from shared.contracts.base import JsonObject
from shared.contracts.models import ModelPurpose


def _output_name(job: Job, made: dict[str, Any]) -> str:
    return str(job.spec.get("outputName") or job.spec.get("name") or made["name"])


def register_model(models: ModelRepository, job: Job, made: dict[str, Any]) -> AddedModel:
    """A new version; an adapter goes on top of the weights that the job was given."""
    base = job.inputs.models.get("base")
    parameters = made.get("parameters")
    return models.add_version(
        name=_output_name(job, made),
        base=made.get("base") or (base.base if base is not None else ""),
        adapter=made.get("adapter"),
        template=str(made["template"]),
        parameters=parameters if isinstance(parameters, int) else None,
        base_model=None if base is None else f"{base.name}@{base.version}",
        job_id=job.job_id,
        purpose=ModelPurpose(made.get("purpose", ModelPurpose.CHAT)),
        takes_images=made.get("takes_images") is True,
    )


def told_model(model: ModelVersion) -> JsonObject:
    """A model's version as the audit tells it."""
    return {
        "name": model.name, "version": model.version, "base": model.base, "adapter": model.adapter,
        "baseModel": model.base_model, "purpose": model.purpose, "takesImages": model.takes_images,
    }  # fmt: skip


def registered_result(uow: UnitOfWork, job: Job, result: JsonObject, now: datetime) -> JsonObject:
    """The result that users see: the worker's, with the registered version in it."""
    made = cast(dict[str, Any], result["model"])
    added = register_model(uow.models, job, made)
    version = added.model
    if added.is_new:
        subject = f"model:{version.model_id}"
        uow.audit.add(Change(now, f"job:{job.job_id}", "register_model", subject, None, told_model(version)))
    seen = made | {
        "modelId": version.model_id, "name": version.name, "version": version.version, "reference": version.reference,
    }  # fmt: skip
    return result | {"model": seen}
