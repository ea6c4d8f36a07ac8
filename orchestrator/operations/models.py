"""Models: imported as files, or made by jobs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.reference import check_name
from orchestrator.domain.registration import told_model
from orchestrator.operations.model_files import check_file_name, check_folder, refuse
from orchestrator.operations.requester import Created, Made, Requester, find_made, make_once
from orchestrator.operations.scratch import Scratch
from shared.contracts.base import JsonObject
from shared.kit.artifacts import ArtifactStore
from shared.kit.clock import Clock
from shared.kit.files import sha256_of_stream


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model folder, as uploaded."""

    name: str
    content: IO[bytes]


class ModelIntake:
    """Takes model folders in. Blocking."""

    def __init__(self, units: UnitsOfWork, store: ArtifactStore, clock: Clock, scratch: Scratch) -> None:
        self._units = units
        self._clock = clock
        self._store = store
        self._scratch = scratch

    def add(self, name: str, template: str, files: Sequence[ModelFile], requester: Requester) -> Created[ModelVersion]:
        """Check the files, store them as one folder, and number it; the same files keep their number."""
        check_name(name)
        digest = ""
        if requester.idempotency_key is not None:
            digest = _request_hash(name, template, files)
            key = requester.key_for(digest)
            known = self._units.read(lambda uow: find_made(uow, key, _find))
            if known is not None:
                return known
        with self._scratch.room() as room:
            _lay_out(files, room)
            parameters = check_folder(room)
            blob = self._store.put_tree(room)

        def number(uow: UnitOfWork) -> Made[ModelVersion]:
            added = uow.models.add_version(
                name=name, base=blob.sha256, adapter=None, template=template, parameters=parameters,
                base_model=None, job_id=None,
            )  # fmt: skip
            subject = f"model:{added.model.model_id}"
            return Made(added.model, subject, "import_model", told_model(added.model) if added.is_new else None)

        return make_once(self._units, requester, digest, self._clock.now(), _find, number)


def _find(uow: UnitOfWork, model_id: str) -> ModelVersion:
    return uow.models.require(model_id)


def _request_hash(name: str, template: str, files: Sequence[ModelFile]) -> str:
    """The files as they were sent, in whatever order."""
    sent: JsonObject = {}
    for file in files:
        file.content.seek(0)
        sent[file.name] = sha256_of_stream(file.content)
    return request_hash("model", "", {"name": name, "template": template, "files": sent})


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
