"""Data that others made, kept outside the repository: in the folder `IMTS_TEST_DATA` names, or beside the checkout."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "data"


def foreign_data(name: str) -> Path:
    """A file or folder of that data; absent it skips, except in CI, where it fails."""
    path = Path(os.environ.get("IMTS_TEST_DATA", str(_BESIDE))) / name
    if path.exists():
        return path
    reason = f"{name} is not there: set IMTS_TEST_DATA to the folder of the foreign data sets"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
