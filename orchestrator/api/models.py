"""`/api/models`: base models imported or made on the spot, and what training made of them."""

from typing import Annotated

from fastapi import Form, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict

from orchestrator.api.created import mark_created
from orchestrator.api.job_views import answer
from orchestrator.api.pagination import PageSize
from orchestrator.dependencies import CallerDep, IdempotencyKeyHeader, IntakeDep, ModelIntakeDep, Project, Store, Units
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.submission import make_tiny_submission
from orchestrator.operations.exported import exports_of
from orchestrator.operations.models import Import, ModelFile
from orchestrator.operations.requester import Requester
from shared.contracts.base import Name, Reference
from shared.contracts.exports import ModelExportPage
from shared.contracts.jobs import JobView
from shared.contracts.models import MakeTinySpec, ModelPage, ModelView, Template
from shared.kit.application import api_router
from shared.kit.tasks import in_thread

routes = api_router("/api/models", "models")

JobCursor = Annotated[str | None, Query(pattern=r"^job-[0-9a-z]{26}$", description="`nextCursor` of the page before")]
Cursor = Annotated[str | None, Query(pattern=r"^mdl-[0-9a-z]{26}$", description="`nextCursor` of the page before")]


class ModelForm(BaseModel):
    """A multipart upload of the files of one folder: config, tokenizer, safetensors weights; or of an adapter's."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    template: Template | None = None
    """`default` when absent; of an adapter, its base's."""
    base: Reference | None = None
    """The version that the files, an adapter's, go on."""
    files: list[UploadFile]


def view_of(model: ModelVersion) -> ModelView:
    """A version as the API answers it."""
    return ModelView(
        model_id=model.model_id, name=model.name, version=model.version, base=model.base, adapter=model.adapter,
        template=model.template, parameters=model.parameters, base_model=model.base_model, job_id=model.job_id,
        created_at=model.created_at, purpose=model.purpose, takes_images=model.takes_images,
    )  # fmt: skip


@routes.post("", status_code=201)
async def import_model(
    form: Annotated[ModelForm, Form()],
    intake: ModelIntakeDep,
    caller: CallerDep,
    response: Response,
    idempotency_key: IdempotencyKeyHeader = None,
) -> ModelView:
    """Import a model's or adapter's folder; code, pickles, a trainer's state and damaged weights are refused."""
    files = [ModelFile(file.filename or "", file.file) for file in form.files]
    requester = Requester(caller.name, idempotency_key=idempotency_key)
    created = await in_thread(intake.add, Import(form.name, form.template, form.base), files, requester)
    mark_created(response, f"/api/models/{created.thing.model_id}", is_replay=created.is_replay)
    return view_of(created.thing)


@routes.post("/tiny", status_code=202)
async def make_tiny(
    spec: MakeTinySpec,
    intake: IntakeDep,
    caller: CallerDep,
    response: Response,
    project: Project = "default",
    idempotency_key: IdempotencyKeyHeader = None,
) -> JobView:
    """Have a small base model made from a data set; the job's result names it."""
    requester = Requester(caller.name, project, idempotency_key)
    return answer(await intake.submit(make_tiny_submission(spec), requester), response)


@routes.get("")
def list_models(units: Units, cursor: Cursor = None, limit: PageSize = 50) -> ModelPage:
    """Every version, newest first."""
    found = units.read(lambda uow: uow.models.page(cursor, limit + 1))
    shown, has_more = found[:limit], len(found) > limit
    return ModelPage(
        data=[view_of(model) for model in shown], has_more=has_more,
        next_cursor=shown[-1].model_id if has_more else None,
    )  # fmt: skip


@routes.get("/{reference}")
def get_model(reference: Reference, units: Units) -> ModelView:
    """By `name` (its newest version), `name@2` or id."""
    return view_of(units.read(lambda uow: uow.models.require(reference, "reference")))


@routes.get("/{reference}/exports")
def list_exports(
    reference: Reference, units: Units, store: Store, cursor: JobCursor = None, limit: PageSize = 50
) -> ModelExportPage:
    """What a version exists as: GGUF files with quantization, bytes and hash, servers it was sent to, merges."""
    found = exports_of(units, store, reference, cursor, limit + 1)
    shown, has_more = found[:limit], len(found) > limit
    return ModelExportPage(data=shown, has_more=has_more, next_cursor=shown[-1].job_id if has_more else None)
