"""Model versions in SQL."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from orchestrator.db.repositories.numbering import hold_name, number_next
from orchestrator.db.tables.models import ModelRow, ModelVersionRow
from orchestrator.domain.model import AddedModel, ModelVersion
from orchestrator.domain.reference import parse_reference
from shared.contracts.models import ModelPurpose
from shared.kit.errors import NotFound
from shared.kit.ids import new_id


def _to_domain(row: ModelVersionRow) -> ModelVersion:
    return ModelVersion(
        model_id=row.model_id, name=row.name, version=row.version, base=row.base, adapter=row.adapter,
        template=row.template, parameters=row.parameters, base_model=row.base_model, job_id=row.job_id,
        created_at=row.created_at, purpose=ModelPurpose(row.purpose), takes_images=row.takes_images,
    )  # fmt: skip


class SqlModels:
    """`ModelRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _one(self, wanted: ColumnElement[bool]) -> ModelVersion | None:
        newest = select(ModelVersionRow).where(wanted).order_by(ModelVersionRow.version.desc()).limit(1)
        row = self._session.scalars(newest).first()
        return None if row is None else _to_domain(row)

    def find(self, reference: str) -> ModelVersion | None:
        asked = parse_reference(reference)
        if asked.id is not None:
            return self._one(ModelVersionRow.model_id == asked.id)
        if asked.alias is not None:
            return None
        named = ModelVersionRow.name == asked.name
        return self._one(named if asked.version is None else and_(named, ModelVersionRow.version == asked.version))

    def require(self, reference: str, param: str = "modelName") -> ModelVersion:
        found = self.find(reference)
        if found is None:
            message = f"{param}: there is no such model; `imts models list` shows those there are"
            raise NotFound(message, param=param, code="model_not_found")
        return found

    def add_version(
        self,
        *,
        name: str,
        base: str,
        adapter: str | None,
        template: str,
        parameters: int | None,
        base_model: str | None,
        job_id: str | None,
        purpose: ModelPurpose = ModelPurpose.CHAT,
        takes_images: bool = False,
    ) -> AddedModel:
        newest = hold_name(self._session, ModelRow, name)
        row = ModelVersionRow
        same = self._one(
            and_(
                row.name == name,
                row.base == base,
                row.adapter == adapter,
                row.template == template,
                row.job_id == job_id,
            )
        )
        if same is not None:
            return AddedModel(same, is_new=False)
        added = ModelVersionRow(
            model_id=new_id("mdl"), name=name, version=number_next(self._session, ModelRow, name, newest),
            base=base, adapter=adapter, template=template, parameters=parameters, base_model=base_model,
            job_id=job_id, created_at=datetime.now(UTC), purpose=purpose, takes_images=takes_images,
        )  # fmt: skip
        self._session.add(added)
        self._session.flush()
        return AddedModel(_to_domain(added), is_new=True)

    def of_job(self, job_id: str) -> list[ModelVersion]:
        rows = select(ModelVersionRow).where(ModelVersionRow.job_id == job_id)
        return [_to_domain(row) for row in self._session.scalars(rows)]

    def page(self, before: str | None, limit: int) -> list[ModelVersion]:
        rows = select(ModelVersionRow).order_by(ModelVersionRow.model_id.desc()).limit(limit)
        if before is not None:
            rows = rows.where(ModelVersionRow.model_id < before)
        return [_to_domain(row) for row in self._session.scalars(rows)]
