"""Documents say what the code does, or the build fails."""

import re
from pathlib import Path

import pytest

from tools.documents import written
from tools.source import ROOT

DOCUMENTS = [ROOT / "README.md", ROOT / "README.zh.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_generated_parts_are_up_to_date() -> None:
    stale = [str(path) for path, text in written().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_link_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in target]
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_every_make_target_in_a_document_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name for document in DOCUMENTS for name in re.findall(r"`make ([a-z]+)", document.read_text(encoding="utf-8"))
    }
    assert named - targets - {"sure"} == set()


def test_every_route_says_what_it_does() -> None:
    silent = [
        line for line in (ROOT / "docs" / "api.md").read_text().splitlines() if re.match(r"\| `[A-Z]+ .*\|  \|$", line)
    ]
    assert silent == []
