"""Modules stay small, say what they are, and are named after one noun."""

import ast
import statistics

import pytest

from tools.source import ROOT, Module, modules

ALL = modules()
BANNED = {
    "utils", "util", "helpers", "helper", "common", "manager", "handler", "processor", "data", "info", "misc",
    "service",
}  # fmt: skip
by_name = pytest.mark.parametrize("module", ALL, ids=lambda module: module.name)


def _length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


@by_name
def test_a_module_has_at_most_300_lines(module: Module) -> None:
    assert module.lines <= 300


def test_a_module_of_tests_has_at_most_300_lines() -> None:
    lines = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in (ROOT / "tests").rglob("*.py")}
    assert {name: count for name, count in lines.items() if count > 300} == {}


@by_name
def test_a_module_says_in_its_first_line_what_it_is(module: Module) -> None:
    first = module.docstring.partition("\n")[0]
    assert first.endswith((".", "…", ":"))
    assert len(first) > 15


@by_name
def test_no_module_has_a_name_that_says_nothing(module: Module) -> None:
    assert module.path.stem not in BANNED


@by_name
def test_a_function_has_at_most_50_lines(module: Module) -> None:
    assert [f"{f.name}: {_length(f)}" for f in module.functions() if _length(f) > 50] == []


def test_the_median_module_and_function_are_short() -> None:
    assert statistics.median(module.lines for module in ALL) <= 110
    assert statistics.median(_length(f) for module in ALL for f in module.functions()) <= 9


def test_comments_are_few_and_so_must_be_worth_reading() -> None:
    lines = [line.strip() for module in ALL for line in module.text.splitlines() if line.strip()]
    comments = [line for line in lines if line.startswith("#")]
    assert len(comments) / len(lines) < 0.08
