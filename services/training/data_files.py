"""The attempt's own data folder: normalised rows as Parquet files and the `dataset_info.json` that describes them."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from services.training.stage_rows import ROW_OF_STAGE, Row, RowUnfit
from shared.contracts.base import JsonObject
from shared.contracts.training import Stage
from shared.datasets.rows import read_rows

_BATCH = 1_000
_NAMED = 20
"""Row numbers that a report lists."""
_TAGS: JsonObject = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "tool_call",
    "system_tag": "system",
}
_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])
# A declared schema: a reader left to guess takes texts that look like dates for dates.
_TALK = [("messages", pa.list_(_MESSAGE)), ("tools", pa.string())]
_SCHEMAS = {
    Stage.SFT: pa.schema(_TALK),
    Stage.PT: pa.schema([("text", pa.string())]),
    Stage.DPO: pa.schema([*_TALK, ("chosen", _MESSAGE), ("rejected", _MESSAGE)]),
    Stage.KTO: pa.schema([*_TALK, ("label", pa.bool_())]),
}


def _description(stage: Stage) -> JsonObject:
    """What LLaMA-Factory is told of the columns."""
    if stage is Stage.PT:
        return {"formatting": "alpaca", "columns": {"prompt": "text"}}
    columns = {"messages": "messages", "tools": "tools"}
    if stage is Stage.DPO:
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    if stage is Stage.KTO:
        columns |= {"kto_tag": "label"}
    return {"formatting": "sharegpt", "ranking": stage is Stage.DPO, "columns": dict(columns), "tags": _TAGS}


@dataclass
class Written:
    """How many rows a data file took, and which it could not take."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_rows: list[int] = field(default_factory=list)
    """Numbers of the first ones, from 1."""


class BadRow(Exception):
    """A row that is not what a normalised row is."""

    def __init__(self, role: str, number: int, why: str) -> None:
        super().__init__(f"row {number} of {role}: {why}")
        self.role = role
        self.number = number
        """From 1, as at the upload."""
        self.why = why


def write_data(folder: Path, stage: Stage, blobs: dict[str, Path]) -> dict[str, Written]:
    """Write each role's rows and the description of all; answers what happened to the rows, or raises BadRow."""
    folder.mkdir(parents=True, exist_ok=True)
    info = {role: {"file_name": f"{role}.parquet", **_description(stage)} for role in blobs}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return {role: _write(folder / f"{role}.parquet", stage, role, read_rows(blob)) for role, blob in blobs.items()}


def _write(path: Path, stage: Stage, role: str, rows: Iterator[Row]) -> Written:
    report = Written()
    schema = _SCHEMAS[stage]
    fitting = _fitting(stage, role, rows, report)
    with parquet.ParquetWriter(path, schema, compression="none") as writer:
        while batch := list(islice(fitting, _BATCH)):
            writer.write_table(_table(schema, role, batch))
            report.rows += len(batch)
    return report


def _table(schema: pa.Schema, role: str, batch: list[tuple[int, Row]]) -> pa.Table:
    """The rows as a table; when it cannot be made, the row that is to blame is looked for."""
    try:
        return pa.Table.from_pylist([row for _, row in batch], schema=schema)
    except (pa.ArrowException, TypeError, ValueError):
        for number, row in batch:
            try:
                pa.Table.from_pylist([row], schema=schema)
            except (pa.ArrowException, TypeError, ValueError) as fault:
                raise BadRow(role, number, str(fault)) from fault
        raise


def _fitting(stage: Stage, role: str, rows: Iterator[Row], report: Written) -> Iterator[tuple[int, Row]]:
    convert = ROW_OF_STAGE[stage]
    for number in count(1):
        try:
            row = next(rows, None)
            if row is None:
                return
            yield number, convert(row)
        except RowUnfit as fault:
            report.dropped[str(fault)] += 1
            if len(report.dropped_rows) < _NAMED:
                report.dropped_rows.append(number)
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise BadRow(role, number, f"{type(fault).__name__}: {fault}") from fault
