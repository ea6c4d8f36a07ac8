"""Models: imported as files, or made by jobs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.reference import check_name
from orchestrator.domain.registration import told_model
from orchestrator.operations.adapter_files import VALUE_HEAD, check_adapter, tensors_of
from orchestrator.operations.model_files import check_file_name, check_folder, folder_takes_images, refuse
from orchestrator.operations.requester import Created, Made, Requester, find_made, make_once
from orchestrator.operations.scratch import Scratch
from shared.contracts.base import JsonObject
from shared.contracts.models import ModelPurpose
from shared.kit.artifacts import ArtifactStore
from shared.kit.clock import Clock
from shared.kit.errors import InvalidRequest
from shared.kit.files import sha256_of_stream


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model folder, as uploaded."""

    name: str
    content: IO[bytes]


@dataclass(frozen=True, slots=True)
class Import:
    """What a user asks of an upload; `base` is the version that an adapter goes on."""

    name: str
    template: str | None = None
    """The base's when absent, or `default`."""
    base: str | None = None


class ModelIntake:
    """Takes model folders in. Blocking."""

    def __init__(self, units: UnitsOfWork, store: ArtifactStore, clock: Clock, scratch: Scratch) -> None:
        self._units = units
        self._clock = clock
        self._store = store
        self._scratch = scratch

    def add(self, asked: Import, files: Sequence[ModelFile], requester: Requester) -> Created[ModelVersion]:
        """Check the files, store them as one folder, and number it; the same files keep their number."""
        check_name(asked.name)
        digest = ""
        if requester.idempotency_key is not None:
            digest = _request_hash(asked, files)
            key = requester.key_for(digest)
            known = self._units.read(lambda uow: find_made(uow, key, _find))
            if known is not None:
                return known
        taken = self._take_in(asked, files)

        def number(uow: UnitOfWork) -> Made[ModelVersion]:
            added = uow.models.add_version(**taken)
            subject = f"model:{added.model.model_id}"
            return Made(added.model, subject, "import_model", told_model(added.model) if added.is_new else None)

        return make_once(self._units, requester, digest, self._clock.now(), _find, number)

    def _take_in(self, asked: Import, files: Sequence[ModelFile]) -> dict[str, Any]:
        """Check and store; answers what the registry is to know of the version."""
        base = None if asked.base is None else self._base(asked.base)
        with self._scratch.room() as room:
            _lay_out(files, room)
            found = {"name": asked.name, "job_id": None, "template": asked.template or "default"}
            if base is None:
                parameters = check_folder(room)
                stored = self._store.put_tree(room).sha256
                return {
                    **found, "base": stored, "adapter": None, "parameters": parameters, "base_model": None,
                    "takes_images": folder_takes_images(room),
                }  # fmt: skip
            check_adapter(room, tensors_of(self._store, base.base), base.name)
            purpose = ModelPurpose.REWARD if (room / VALUE_HEAD).exists() else ModelPurpose.CHAT
            return {
                **found, "template": asked.template or base.template, "base": base.base, "purpose": purpose,
                "adapter": self._store.put_tree(room).sha256, "parameters": base.parameters,
                "base_model": base.reference,
            }  # fmt: skip

    def _base(self, reference: str) -> ModelVersion:
        base = self._units.read(lambda uow: uow.models.require(reference, "base"))
        if base.adapter is not None:
            raise InvalidRequest(
                f"base: {base.reference} is an adapter itself; name the version that it was trained from, or merge it",
                param="base", code="base_is_an_adapter",
            )  # fmt: skip
        if base.takes_images:
            raise InvalidRequest(
                f"base: {base.reference} takes images, and adapters for such models are not taken in yet",
                param="base", code="images_not_supported",
            )  # fmt: skip
        return base


def _find(uow: UnitOfWork, model_id: str) -> ModelVersion:
    return uow.models.require(model_id)


def _request_hash(asked: Import, files: Sequence[ModelFile]) -> str:
    """The files as they were sent, in whatever order."""
    sent: JsonObject = {}
    for file in files:
        file.content.seek(0)
        sent[file.name] = sha256_of_stream(file.content)
    told: JsonObject = {"name": asked.name, "template": asked.template or "default", "files": sent}
    return request_hash("model", "", told if asked.base is None else {**told, "base": asked.base})


def _lay_out(files: Sequence[ModelFile], folder: Path) -> None:
    """The uploads as files of `folder`; names are checked first, so that a bad one costs no copying."""
    seen: set[str] = set()
    for file in files:
        if check_file_name(file.name) in seen:
            refuse(file.name, "was sent twice")
        seen.add(file.name)
    for file in files:
        file.content.seek(0)
        with (folder / file.name).open("xb") as target:
            shutil.copyfileobj(file.content, target, 1 << 20)
