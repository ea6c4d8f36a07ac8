"""Data set versions in SQL."""

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from orchestrator.db.repositories.numbering import hold_name, number_next
from orchestrator.db.tables.datasets import DatasetRow, DatasetVersionRow
from orchestrator.domain.dataset import AddedDataset, DatasetVersion, NewDataset
from orchestrator.domain.reference import parse_reference
from shared.contracts.datasets import DatasetFormat
from shared.kit.errors import NotFound
from shared.kit.ids import new_id


def _to_domain(row: DatasetVersionRow) -> DatasetVersion:
    return DatasetVersion(
        dataset_id=row.dataset_id, name=row.name, version=row.version, rows=row.rows, format=DatasetFormat(row.format),
        sha256=row.sha256, size_bytes=row.size_bytes, created_at=row.created_at,
        images=row.images,
    )  # fmt: skip


class SqlDatasets:
    """`DatasetRepository` over one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _one(self, wanted: ColumnElement[bool]) -> DatasetVersion | None:
        newest = select(DatasetVersionRow).where(wanted).order_by(DatasetVersionRow.version.desc()).limit(1)
        row = self._session.scalars(newest).first()
        return None if row is None else _to_domain(row)

    def find(self, reference: str) -> DatasetVersion | None:
        asked = parse_reference(reference)
        if asked.id is not None:
            return self._one(DatasetVersionRow.dataset_id == asked.id)
        if asked.alias is not None:
            return None
        named = DatasetVersionRow.name == asked.name
        return self._one(named if asked.version is None else and_(named, DatasetVersionRow.version == asked.version))

    def require(self, reference: str, param: str = "dataset") -> DatasetVersion:
        found = self.find(reference)
        if found is None:
            message = f"{param}: there is no such data set; `imts datasets list` shows those there are"
            raise NotFound(message, param=param, code="dataset_not_found")
        return found

    def add_version(self, new: NewDataset) -> AddedDataset:
        newest = hold_name(self._session, DatasetRow, new.name)
        same = self._one(and_(DatasetVersionRow.name == new.name, DatasetVersionRow.sha256 == new.sha256))
        if same is not None:
            return AddedDataset(same, is_new=False)
        row = DatasetVersionRow(
            dataset_id=new_id("ds"), name=new.name, version=number_next(self._session, DatasetRow, new.name, newest),
            rows=new.rows, format=new.format.value, sha256=new.sha256, size_bytes=new.size_bytes,
            created_at=new.created_at, images=new.images,
        )  # fmt: skip
        self._session.add(row)
        self._session.flush()
        return AddedDataset(_to_domain(row), is_new=True)

    def page(self, before: str | None, limit: int) -> list[DatasetVersion]:
        rows = select(DatasetVersionRow).order_by(DatasetVersionRow.dataset_id.desc()).limit(limit)
        if before is not None:
            rows = rows.where(DatasetVersionRow.dataset_id < before)
        return [_to_domain(row) for row in self._session.scalars(rows)]
