"""Real data sets that others made are read as they are."""

from pathlib import Path

import pytest

from shared.datasets.ingest import ingest
from shared.datasets.limits import Limits
from shared.datasets.rows import read_rows
from shared.kit.errors import InvalidRequest
from tests.foreign_data import foreign_data

DEMO = [
    ("alpaca_en_demo.json", "alpaca", 999), ("alpaca_zh_demo.json", "alpaca", 1000), ("identity.json", "alpaca", 91),
    ("c4_demo.jsonl", "text", 300), ("dpo_en_demo.json", "preference", 299), ("kto_en_demo.json", "kto", 298),
    ("glaive_toolcall_en_demo.json", "sharegpt", 300),
]  # fmt: skip


@pytest.mark.parametrize(("name", "form", "count"), DEMO)
def test_every_demo_file_of_llama_factory_is_recognised(name: str, form: str, count: int, tmp_path: Path) -> None:
    path = foreign_data("llamafactory-demo") / name
    with path.open("rb") as source:
        report = ingest(source, name, "auto", tmp_path / "rows.jsonl", Limits())
    assert (report.format, report.rows) == (form, count)
    assert all(row.keys() & {"messages", "text"} for row in read_rows(tmp_path / "rows.jsonl"))


@pytest.mark.parametrize(
    ("name", "why"), [("mllm_demo.json", "row 1: `images[0]` is a path"), ("dataset_info.json", "row 1: ")]
)
def test_images_and_files_that_are_no_data_set_are_refused(name: str, why: str, tmp_path: Path) -> None:
    path = foreign_data("llamafactory-demo") / name
    with path.open("rb") as source, pytest.raises(InvalidRequest) as refusal:
        ingest(source, name, "auto", tmp_path / "rows.jsonl", Limits())
    assert refusal.value.message.startswith(why)


def test_tool_calls_stay_marked_and_tools_stay(tmp_path: Path) -> None:
    path = foreign_data("llamafactory-demo") / "glaive_toolcall_en_demo.json"
    with path.open("rb") as source:
        ingest(source, path.name, "auto", tmp_path / "rows.jsonl", Limits())
    rows = list(read_rows(tmp_path / "rows.jsonl"))
    assert sum("tools" in row for row in rows) > 100
    assert any('"tool_call":true' in line for line in (tmp_path / "rows.jsonl").read_text().splitlines())
