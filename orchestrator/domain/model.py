"""A model's immutable versions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from shared.contracts.models import ModelPurpose
from shared.contracts.work import ModelInput


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Weights under a name and a number: a base, and the adapter that goes on top of it."""

    model_id: str
    name: str
    version: int
    base: str
    """Manifest of the base folder in the artifact store."""
    adapter: str | None
    template: str
    parameters: int | None
    base_model: str | None
    """Reference of the version this one was trained from."""
    job_id: str | None
    created_at: datetime
    purpose: ModelPurpose = ModelPurpose.CHAT
    takes_images: bool = False

    @property
    def reference(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def as_input(self) -> ModelInput:
        """What a worker is told about it."""
        return ModelInput(
            model_id=self.model_id, name=self.name, version=self.version,
            base=self.base, adapter=self.adapter, template=self.template,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AddedModel:
    """The version with some weights; `is_new` False when it was there before."""

    model: ModelVersion
    is_new: bool


class ModelRepository(Protocol):
    """Model versions; they are added and read, never changed."""

    def find(self, reference: str) -> ModelVersion | None:
        """By `name` (the newest), `name@2` or id."""
        ...

    def require(self, reference: str, param: str = "modelName") -> ModelVersion:
        """NotFound `model_not_found` when there is none; `param` is the field that named it."""
        ...

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
        """The version with exactly these weights from this job: the one there is, else the next number."""
        ...

    def of_job(self, job_id: str) -> list[ModelVersion]:
        """Those that a job made."""
        ...

    def page(self, before: str | None, limit: int) -> list[ModelVersion]:
        """Newest first, those with ids below `before`."""
        ...
