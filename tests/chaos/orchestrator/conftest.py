"""The orchestrator's own words are left out: a loop that is struck a thousand times says so each time."""

from collections.abc import Iterator

import pytest
from loguru import logger


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    for package in ("orchestrator", "shared"):
        logger.disable(package)
    yield
    for package in ("orchestrator", "shared"):
        logger.enable(package)
