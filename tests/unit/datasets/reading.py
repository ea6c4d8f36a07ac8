"""Reads bytes as an upload would be read."""

import io
from pathlib import Path

from shared.contracts.base import JsonObject
from shared.datasets.ingest import IngestReport, ingest
from shared.datasets.limits import Limits
from shared.datasets.rows import read_rows


def take(
    content: bytes | str, folder: Path, filename: str = "upload.jsonl", form: str = "auto", limits: Limits | None = None
) -> tuple[IngestReport, list[JsonObject]]:
    """The report and the normalised rows."""
    raw = content.encode() if isinstance(content, str) else content
    target = folder / "rows.jsonl"
    report = ingest(io.BytesIO(raw), filename, form, target, limits or Limits())
    rows = list(read_rows(target))
    assert report.rows == len(rows)
    assert report.size_bytes == target.stat().st_size
    return report, rows
