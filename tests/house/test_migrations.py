"""Migrations are one chain each: two that were numbered alike on two branches would leave a database without a head."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from tools.source import ROOT

FOLDERS = [
    path.parent.parent
    for top in ("orchestrator", "services")
    for path in sorted((ROOT / top).glob("**/migrations/versions/__init__.py"))
]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_every_migration_follows_the_one_numbered_before_it(folder: Path) -> None:
    names = sorted(path.stem for path in (folder / "versions").glob("*_*.py") if path.stem != "__init__")
    numbers = [name.partition("_")[0] for name in names]
    walked = [revision.revision for revision in ScriptDirectory(str(folder)).walk_revisions()]
    assert numbers == list(reversed(walked))
