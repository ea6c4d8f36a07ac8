"""Reads, checks and normalises one uploaded file; run as a process of its own by `shared.datasets.child`."""

import argparse
import errno
import hashlib
import io
import json
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from shared.contracts.base import WireModel
from shared.contracts.datasets import DatasetFormat
from shared.contracts.problems import Problem, ProblemBody
from shared.datasets.archive import Archive, is_archive, reading_archive
from shared.datasets.containers import recognise
from shared.datasets.faults import RowFault, RowTooLarge, at_row, bad_rows, too_large, unreadable
from shared.datasets.formats import detect_format, named_format
from shared.datasets.gallery import Gallery
from shared.datasets.limits import Limits
from shared.datasets.pictured import normalise_pictured, shows_image_without_one
from shared.datasets.readers import read_raw_rows
from shared.datasets.rows import encode_row
from shared.kit.errors import ImtsError, Unavailable

REFUSED = 3
"""Exit status when the file was read and refused."""
STORAGE_FULL = "storage_full"
IMAGES = "images"
"""The folder of the images of an upload, beside its rows."""
_REPORTED_ROWS = 20


class IngestReport(WireModel):
    """What came of a file that was accepted."""

    format: DatasetFormat
    rows: int
    sha256: str
    """Of the normalised rows."""
    size_bytes: int
    images: int = 0
    """Files beside the rows, in a folder `images`, each named after its hash."""


class _Sink:
    """Writes normalised rows, counting and hashing them."""

    def __init__(self, target: BinaryIO, gallery: Gallery, limits: Limits) -> None:
        self._target = target
        self._gallery = gallery
        self._limits = limits
        self._imageless: list[int] = []
        """Rows that would show an image and have none."""
        self._digest = hashlib.sha256()
        self.rows = 0
        self.size = 0

    def add(self, row: Any, form: DatasetFormat) -> None:
        try:
            normalised = normalise_pictured(row, form, self._gallery)
            line = encode_row(normalised)
        except UnicodeEncodeError:
            raise RowFault("holds a lone surrogate, which no file can carry; remove it") from None
        except RecursionError:
            raise RowFault("is nested too deeply") from None
        if len(line) > self._limits.row_bytes:
            raise RowTooLarge(f"is longer than {self._limits.row_bytes} bytes; split it")
        self.rows += 1
        self.size += len(line)
        if self.rows > self._limits.rows:
            raise too_large(f"the file has more than {self._limits.rows} rows; split it")
        if self.size > self._limits.output_bytes:
            raise too_large(f"the file unpacks into more than {self._limits.output_bytes} bytes; split it")
        if len(self._imageless) < _REPORTED_ROWS and shows_image_without_one(normalised):
            self._imageless.append(self.rows)
        self._digest.update(line)
        self._target.write(line)

    def report(self, form: DatasetFormat) -> IngestReport:
        """What was written; where rows have images, `<image>` is a place in each of them."""
        if self._gallery and self._imageless:
            fault = RowFault("has <image> in its messages and no images, which other rows have; add it or reword")
            raise bad_rows([(number, fault) for number in self._imageless])
        return IngestReport(
            format=form, rows=self.rows, sha256=self._digest.hexdigest(), size_bytes=self.size,
            images=len(self._gallery),
        )  # fmt: skip


def ingest(source: io.BufferedIOBase, filename: str, form_name: str, target: Path, limits: Limits) -> IngestReport:
    """Write the normalised rows of `source` to `target`, images beside it; an ImtsError names the row and the fix."""
    form = named_format(form_name)
    archive = Archive(source, limits) if is_archive(source) else None
    if archive is not None:
        source, filename = archive.open_rows(), archive.row_file
    gallery = Gallery(target.with_name(IMAGES), limits, archive)
    with target.open("wb") as stream, reading_archive() if archive else nullcontext():
        sink = _Sink(stream, gallery, limits)
        form = _write_all(read_raw_rows(source, recognise(source, filename), limits), form, sink)
    if form is None:
        raise unreadable("the file has no rows; send at least one", code="empty_dataset")
    return sink.report(form)


def _write_all(rows: Iterator[Any], form: DatasetFormat | None, sink: _Sink) -> DatasetFormat | None:
    faults: list[tuple[int, RowFault]] = []
    for number, row in enumerate(rows, start=1):
        form = form or detect_format(row)
        try:
            sink.add(row, form)
        except RowTooLarge as fault:
            raise at_row(number, fault) from None
        except RowFault as fault:
            faults.append((number, fault))
            if len(faults) == _REPORTED_ROWS:
                break
    if faults:
        raise bad_rows(faults)
    return form if sink.rows else None


def _confine(limits: Limits) -> None:
    """From here on this process can exhaust only itself."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.output_bytes + limits.row_bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _refuse(fault: ImtsError) -> int:
    problem = Problem(
        type=fault.type, code=fault.code, message=fault.message, param=fault.param, details=fault.details
    )  # fmt: skip
    sys.stdout.write(ProblemBody(error=problem).model_dump_json())
    return REFUSED


def main(arguments: list[str] | None = None) -> int:
    """Read standard input, write `--target`, print the report or the refusal as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--filename", default="")
    parser.add_argument("--format", default="auto")
    parser.add_argument("--limits", default="{}", help="fields of Limits, as JSON")
    chosen = parser.parse_args(arguments)
    limits = Limits(**json.loads(chosen.limits))
    _confine(limits)
    try:
        with os.fdopen(os.dup(0), "rb") as source:
            report = ingest(source, chosen.filename, chosen.format, chosen.target, limits)
    except ImtsError as fault:
        return _refuse(fault)
    except MemoryError:
        return _refuse(too_large("the file needs more memory than an upload may use; split it"))
    except OSError as fault:
        if fault.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        return _refuse(Unavailable("the server has no room for this file; ask its operator", code=STORAGE_FULL))
    sys.stdout.write(report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
