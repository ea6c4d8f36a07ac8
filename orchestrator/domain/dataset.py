"""A data set's immutable versions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.datasets import DatasetFormat
from shared.contracts.work import DatasetInput


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """Normalised rows under a name and a number; `sha256` names them in the artifact store."""

    dataset_id: str
    name: str
    version: int
    rows: int
    format: DatasetFormat
    """As uploaded; the stored rows are normalised."""
    sha256: str
    size_bytes: int
    created_at: datetime
    images: str | None = None
    """Manifest of the folder that holds the rows' images, each named after its hash; None when there are none."""

    def as_input(self) -> DatasetInput:
        """What a worker is told about it."""
        return DatasetInput(
            dataset_id=self.dataset_id, name=self.name, version=self.version,
            format=self.format.value, rows=self.rows, sha256=self.sha256, images=self.images,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class NewDataset:
    """An accepted upload that has no number yet."""

    name: str
    rows: int
    format: DatasetFormat
    sha256: str
    size_bytes: int
    created_at: datetime
    images: str | None = None


@dataclass(frozen=True, slots=True)
class AddedDataset:
    """The version that holds some rows; `is_new` False when it was there before."""

    dataset: DatasetVersion
    is_new: bool


class DatasetRepository(Protocol):
    """Data set versions; they are added and read, never changed."""

    def find(self, reference: str) -> DatasetVersion | None:
        """By `name` (the newest), `name@2` or id."""
        ...

    def require(self, reference: str, param: str = "dataset") -> DatasetVersion:
        """NotFound `dataset_not_found` when there is none; `param` is the field that named it."""
        ...

    def add_version(self, new: NewDataset) -> AddedDataset:
        """The version that holds these rows under this name: the one there is, else the next number."""
        ...

    def page(self, before: str | None, limit: int) -> list[DatasetVersion]:
        """Newest first, those with ids below `before`."""
        ...
