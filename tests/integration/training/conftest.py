"""One warm engine for all tests of training."""

from collections.abc import Iterator

import pytest

from tests.fakes.hub import NAMESPACE, TOKEN, FakeHub, serving_hub
from tests.fakes.ollama import FakeOllama, serving_ollama
from tests.integration.training.laboratory import QUICK, Laboratory, Run


@pytest.fixture(scope="session")
def ollama() -> Iterator[FakeOllama]:
    """The one server that the engine is told of, as `office`."""
    with serving_ollama() as fake:
        yield fake


@pytest.fixture(scope="session")
def hub() -> Iterator[FakeHub]:
    """The one hub that the engine has a token for, as `hub`."""
    with serving_hub() as fake:
        yield fake


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory, ollama: FakeOllama, hub: FakeHub) -> Iterator[Laboratory]:
    """The engine takes seconds to import: shared by all tests."""
    tokens = tmp_path_factory.mktemp("tokens")
    (tokens / "hub").write_text(f"{TOKEN}\n")
    targets = {
        "IMTS_OLLAMA_TARGETS": f"office={ollama.url}", "IMTS_HUB_TOKENS": str(tokens),
        "IMTS_HUB_TARGETS": f"hub={hub.url}/{NAMESPACE},bare={hub.url}/{NAMESPACE}",
    }  # fmt: skip
    found = Laboratory(tmp_path_factory.mktemp("laboratory"), targets)
    yield found
    found.close()


@pytest.fixture(scope="session")
def whole(laboratory: Laboratory) -> Run:
    """An uninterrupted run that others are compared with."""
    return laboratory.train(QUICK)
