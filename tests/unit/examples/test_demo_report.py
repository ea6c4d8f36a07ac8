"""The demo succeeds only when the model really got better."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from examples.demo_report import Findings


def findings(base: float, tuned: float) -> Findings:
    return Findings(
        seeds={"data": 7},
        base={"exact_match": base, "loss": 4.0},
        tuned={"exact_match": tuned, "loss": 0.5},
        paths={"tuned_model": "/data/tuned-model"},
    )


@pytest.mark.parametrize(("base", "tuned", "is_real"), [(0.0, 0.9, True), (0.2, 0.9, False), (0.0, 0.4, False)])
def test_a_gain_is_large_and_from_near_nothing(base: float, tuned: float, is_real: bool) -> None:
    assert (findings(base, tuned).missing_gain() is None) is is_real


def test_the_file_holds_both_scores_for_programs(tmp_path: Path) -> None:
    report = tmp_path / "demo-report.json"
    findings(0.01, 0.8).write(report)
    facts = json.loads(report.read_text())
    assert (facts["base"]["exact_match"], facts["tuned"]["exact_match"]) == (0.01, 0.8)
    assert facts["gain_is_real"] is True


def test_people_see_before_and_after_and_where_things_lie() -> None:
    output = io.StringIO()
    findings(0.01, 0.8).show(Console(file=output, width=80))
    assert "0.010" in output.getvalue()
    assert "0.800" in output.getvalue()
    assert "tuned model  /data/tuned-model" in output.getvalue()
