"""The attempt's own data folder: normalised rows as Arrow files and the `dataset_info.json` that describes them."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as pa

from services.training.mixing import Line
from services.training.sight import Sight
from services.training.stage_rows import ROW_OF_STAGE, Row, RowUnfit
from shared.contracts.base import JsonObject
from shared.contracts.training import Stage

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
_IMAGES = ("images", pa.list_(pa.string()))
_PAIRS = pa.schema([*_TALK, ("chosen", _MESSAGE), ("rejected", _MESSAGE)])
_SCHEMAS = {
    Stage.SFT: pa.schema(_TALK),
    Stage.PT: pa.schema([("text", pa.string())]),
    Stage.DPO: _PAIRS,
    Stage.RM: _PAIRS,
    Stage.PPO: pa.schema(_TALK),
    Stage.KTO: pa.schema([*_TALK, ("label", pa.bool_())]),
}


def _schema(stage: Stage, sight: Sight | None) -> pa.Schema:
    return _SCHEMAS[stage] if sight is None else _SCHEMAS[stage].append(pa.field(*_IMAGES))


def _description(stage: Stage, sight: Sight | None) -> JsonObject:
    """What LLaMA-Factory is told of the columns."""
    if stage is Stage.PT:
        return {"formatting": "alpaca", "columns": {"prompt": "text"}}
    columns = {"messages": "messages", "tools": "tools"}
    is_ranking = _SCHEMAS[stage] is _PAIRS
    if is_ranking:
        columns |= {"chosen": "chosen", "rejected": "rejected"}
    if stage is Stage.KTO:
        columns |= {"kto_tag": "label"}
    if sight is not None:
        columns |= {"images": "images"}
    return {"formatting": "sharegpt", "ranking": is_ranking, "columns": dict(columns), "tags": _TAGS}


@dataclass
class Written:
    """How many rows a data file took, and which it could not take."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_rows: list[int] = field(default_factory=list)
    """Numbers of the first ones, from 1."""


class BadRow(Exception):
    """A row that is not what a normalised row is."""

    def __init__(self, line: Line, why: str) -> None:
        super().__init__(f"row {line.number} of {line.dataset}: {why}")
        self.dataset = line.dataset
        self.number = line.number
        """From 1, as at the upload."""
        self.why = why


def write_data(
    folder: Path, stage: Stage, rows: Mapping[str, Iterable[Line]], sight: Sight | None = None
) -> dict[str, Written]:
    """Write each role's rows and the description of all; answers what happened to the rows, or raises BadRow."""
    folder.mkdir(parents=True, exist_ok=True)
    info = {role: {"file_name": f"{role}.arrow", **_description(stage, sight)} for role in rows}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return {role: _write(folder / f"{role}.arrow", stage, lines, sight) for role, lines in rows.items()}


def rows_in(folder: Path, role: str) -> int:
    """How many rows were written for a role; the file is walked through, not read into memory."""
    with pa.memory_map(str(folder / f"{role}.arrow")) as source, pa.ipc.open_stream(source) as batches:
        return sum(batch.num_rows for batch in batches)


def _write(path: Path, stage: Stage, lines: Iterable[Line], sight: Sight | None) -> Written:
    report = Written()
    schema = _schema(stage, sight)
    fitting = _fitting(stage, lines, report, sight)
    # Read batch by batch; of a Parquet file, all that was read stays in memory until its end.
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        while batch := list(islice(fitting, _BATCH)):
            writer.write_table(_table(schema, batch))
            report.rows += len(batch)
    return report


def _table(schema: pa.Schema, batch: list[tuple[Line, Row]]) -> pa.Table:
    """The rows as a table; when it cannot be made, the row that is to blame is looked for."""
    try:
        return pa.Table.from_pylist([row for _, row in batch], schema=schema)
    except (pa.ArrowException, TypeError, ValueError):
        for line, row in batch:
            try:
                pa.Table.from_pylist([row], schema=schema)
            except (pa.ArrowException, TypeError, ValueError) as fault:
                raise BadRow(line, str(fault)) from fault
        raise


def _fitting(stage: Stage, lines: Iterable[Line], report: Written, sight: Sight | None) -> Iterator[tuple[Line, Row]]:
    convert = ROW_OF_STAGE[stage]
    for line in lines:
        try:
            row = json.loads(line.text)
            taught = convert(row)
            yield line, taught if sight is None else sight.shown(line.dataset, row, taught)
        except RowUnfit as fault:
            report.dropped[str(fault)] += 1
            if len(report.dropped_rows) < _NAMED:
                report.dropped_rows.append(line.number)
        except (ValueError, TypeError, KeyError, AttributeError) as fault:
            raise BadRow(line, f"{type(fault).__name__}: {fault}") from fault
