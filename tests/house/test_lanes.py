"""`make test` runs lanes beside each other, and no two whole meshes."""

import re

import pytest

from tests.lanes import lane_of
from tools.source import ROOT

_STARTS_ENGINES = re.compile(
    r"^from tests\.mesh import .*\brunning_mesh\b|^from tests\.chaos\.mesh\.chaos_mesh ", re.MULTILINE
)
TESTS = sorted(path for path in (ROOT / "tests").rglob("test_*.py") if _STARTS_ENGINES.search(path.read_text()))


def test_there_are_tests_of_whole_meshes() -> None:
    assert len(TESTS) >= 4


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_whole_meshes_share_a_lane(path: object) -> None:
    assert lane_of(f"{path}::test_it[a::b]".removeprefix(f"{ROOT}/")) == "whole meshes"


def test_any_other_file_is_a_lane() -> None:
    assert lane_of("tests/unit/kit/test_clock.py::test_it[a::b]") == "tests/unit/kit/test_clock.py"
