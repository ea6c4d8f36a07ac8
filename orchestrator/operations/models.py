"""Models: imported as files, or made by jobs."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.domain.model import ModelVersion
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.reference import check_name
from orchestrator.operations.model_files import check_file_name, check_folder, refuse
from orchestrator.operations.scratch import Scratch
from shared.kit.artifacts import ArtifactStore


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file of a model folder, as uploaded."""

    name: str
    content: IO[bytes]


class ModelIntake:
    """Takes model folders in. Blocking."""

    def __init__(self, units: UnitsOfWork, store: ArtifactStore, scratch: Scratch) -> None:
        self._units = units
        self._store = store
        self._scratch = scratch

    def add(self, name: str, template: str, files: Sequence[ModelFile]) -> ModelVersion:
        """Check the files, store them as one folder, and number it; the same files keep their number."""
        check_name(name)
        with self._scratch.room() as room:
            _lay_out(files, room)
            parameters = check_folder(room)
            blob = self._store.put_tree(room)

        def number(uow: UnitOfWork) -> ModelVersion:
            return uow.models.add_version(
                name=name, base=blob.sha256, adapter=None, template=template, parameters=parameters,
                base_model=None, job_id=None,
            )  # fmt: skip

        return self._units.write(number)


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
