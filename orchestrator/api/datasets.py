"""`/api/datasets`: upload once, then refer to by name."""

from typing import Annotated

from fastapi import Form, Query, Response, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from orchestrator.api.created import mark_created
from orchestrator.api.pagination import PageSize
from orchestrator.dependencies import CallerDep, DatasetIntakeDep, IdempotencyKeyHeader, Store, Units
from orchestrator.domain.dataset import DatasetVersion
from orchestrator.operations.datasets import Upload, slice_rows
from orchestrator.operations.requester import Requester
from shared.contracts.base import Name, Reference
from shared.contracts.datasets import DatasetPage, DatasetRows, DatasetView
from shared.kit.application import api_router

routes = api_router("/api/datasets", "datasets")

Cursor = Annotated[str | None, Query(pattern=r"^ds-[0-9a-z]{26}$", description="`nextCursor` of the page before")]


class DatasetForm(BaseModel):
    """A multipart upload; `format` is a form (alpaca, sharegpt …), or auto to have it detected."""

    model_config = ConfigDict(extra="forbid")

    file: UploadFile
    name: Name
    format: Annotated[str, Field(max_length=32)] = "auto"


def view_of(dataset: DatasetVersion) -> DatasetView:
    """A version as the API answers it."""
    return DatasetView(
        dataset_id=dataset.dataset_id, name=dataset.name, version=dataset.version, rows=dataset.rows,
        format=dataset.format, sha256=dataset.sha256, size_bytes=dataset.size_bytes, created_at=dataset.created_at,
        has_images=dataset.images is not None,
    )  # fmt: skip


@routes.post("", status_code=201)
async def add_dataset(
    form: Annotated[DatasetForm, Form()],
    intake: DatasetIntakeDep,
    caller: CallerDep,
    response: Response,
    idempotency_key: IdempotencyKeyHeader = None,
) -> DatasetView:
    """Upload JSON, JSON Lines, CSV, Parquet, text, or a .zip of rows and their images.

    The same rows under the same name are the same version.
    """
    upload = Upload(form.file.file, form.file.filename or "", form.name, form.format)
    created = await intake.add(upload, Requester(caller.name, idempotency_key=idempotency_key))
    mark_created(response, f"/api/datasets/{created.thing.dataset_id}", is_replay=created.is_replay)
    return view_of(created.thing)


@routes.get("")
def list_datasets(units: Units, cursor: Cursor = None, limit: PageSize = 50) -> DatasetPage:
    """Every version, newest first."""
    found = units.read(lambda uow: uow.datasets.page(cursor, limit + 1))
    shown, has_more = found[:limit], len(found) > limit
    return DatasetPage(
        data=[view_of(dataset) for dataset in shown], has_more=has_more,
        next_cursor=shown[-1].dataset_id if has_more else None,
    )  # fmt: skip


@routes.get("/{reference}")
def get_dataset(reference: Reference, units: Units) -> DatasetView:
    """By `name` (its newest version), `name@2` or id."""
    return view_of(units.read(lambda uow: uow.datasets.require(reference)))


@routes.get("/{reference}/rows")
def get_rows(
    reference: Reference,
    units: Units,
    store: Store,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
) -> DatasetRows:
    """Normalised rows, as training reads them."""
    dataset = units.read(lambda uow: uow.datasets.require(reference))
    found = slice_rows(store, dataset, offset, limit)
    return DatasetRows(data=found.rows, offset=offset, next_offset=found.next_offset)
