"""Data sets: read once at upload, then answered."""

import asyncio
import json
from dataclasses import dataclass
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO

from orchestrator.domain.dataset import DatasetVersion, NewDataset
from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.ports import UnitOfWork, UnitsOfWork
from orchestrator.domain.reference import check_name
from orchestrator.operations.requester import Created, Made, Requester, find_made, make_once
from orchestrator.operations.scratch import Scratch
from shared.contracts.base import JsonObject
from shared.datasets.child import ingest_in_child
from shared.datasets.formats import named_format
from shared.datasets.ingest import IMAGES
from shared.datasets.limits import Limits
from shared.kit.artifacts import ArtifactStore
from shared.kit.clock import Clock
from shared.kit.files import sha256_of_stream
from shared.kit.tasks import in_thread

_SLICE_BYTES = 4 << 20
"""A slice of rows stops past this size, so that large rows cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file a caller sent, and what they said about it."""

    file: IO[bytes]
    filename: str
    name: str
    format: str


class DatasetIntake:
    """Takes uploads in, a few at a time."""

    def __init__(
        self,
        units: UnitsOfWork,
        store: ArtifactStore,
        clock: Clock,
        scratch: Scratch,
        limits: Limits,
        readers: int = 2,
    ) -> None:
        self._units = units
        self._store = store
        self._clock = clock
        self._scratch = scratch
        self._limits = limits
        self._turns = asyncio.Semaphore(readers)

    async def add(self, upload: Upload, requester: Requester) -> Created[DatasetVersion]:
        """Check and normalise the rows, store them, and number them; the same rows keep their number."""
        check_name(upload.name)
        named_format(upload.format)
        digest = ""
        if requester.idempotency_key is not None:
            digest = await in_thread(_request_hash, upload)
            key = requester.key_for(digest)
            known = await in_thread(self._units.read, lambda uow: find_made(uow, key, _find))
            if known is not None:
                return known
        async with self._turns:
            with self._scratch.room() as room:
                target = room / "rows.jsonl"
                await in_thread(_to_disk, upload.file)
                report = await ingest_in_child(upload.file, upload.filename, upload.format, target, self._limits)
                blob = await in_thread(self._store.put_file, target)
                pictures = await in_thread(self._store.put_tree, room / IMAGES) if report.images else None
        new = NewDataset(
            name=upload.name, rows=report.rows, format=report.format, sha256=blob.sha256, size_bytes=blob.size,
            created_at=self._clock.now(), images=pictures.sha256 if pictures else None,
        )  # fmt: skip
        return await in_thread(
            make_once, self._units, requester, digest, new.created_at, _find, lambda uow: _number(uow, new)
        )


def _number(uow: UnitOfWork, new: NewDataset) -> Made[DatasetVersion]:
    added = uow.datasets.add_version(new)
    version = added.dataset
    told: JsonObject = {
        "name": version.name, "version": version.version, "rows": version.rows, "format": version.format.value,
        "sha256": version.sha256,
    }  # fmt: skip
    return Made(version, f"dataset:{version.dataset_id}", "upload_dataset", told if added.is_new else None)


def _find(uow: UnitOfWork, dataset_id: str) -> DatasetVersion:
    return uow.datasets.require(dataset_id)


def _request_hash(upload: Upload) -> str:
    """The file as it was sent: reading it again would cost more than its rows are worth."""
    upload.file.seek(0)
    sent = sha256_of_stream(upload.file)
    said: JsonObject = {
        "name": upload.name, "format": upload.format, "filename": upload.filename, "sha256": sent,
    }  # fmt: skip
    return request_hash("dataset", "", said)


def _to_disk(file: IO[bytes]) -> None:
    """A child reads the file by its descriptor, which a spooled file has only once it is on disk."""
    if isinstance(file, SpooledTemporaryFile):
        file.rollover()
    file.seek(0)
    file.flush()


@dataclass(frozen=True, slots=True)
class RowSlice:
    """Some rows of a data set, and where the next ones begin."""

    rows: list[JsonObject]
    next_offset: int | None


def slice_rows(store: ArtifactStore, dataset: DatasetVersion, offset: int, limit: int) -> RowSlice:
    """Normalised rows from `offset`; fewer than `limit` when they are large or run out."""
    rows: list[JsonObject] = []
    size = 0
    with store.local_path(dataset.sha256).open("rb") as lines:
        for line in islice(lines, offset, offset + limit):
            size += len(line)
            if rows and size > _SLICE_BYTES:
                break
            rows.append(json.loads(line))
    reached = offset + len(rows)
    return RowSlice(rows, reached if reached < dataset.rows else None)
