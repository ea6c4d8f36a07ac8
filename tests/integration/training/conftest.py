"""One warm engine for all tests of training."""

from collections.abc import Iterator

import pytest

from tests.integration.training.laboratory import QUICK, Laboratory, Run


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    """The engine takes seconds to import: shared by all tests."""
    found = Laboratory(tmp_path_factory.mktemp("laboratory"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def whole(laboratory: Laboratory) -> Run:
    """An uninterrupted run that others are compared with."""
    return laboratory.train(QUICK)
