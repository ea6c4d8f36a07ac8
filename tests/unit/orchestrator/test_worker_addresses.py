"""The workers of a service, as the settings name them."""

import pytest
from pydantic import SecretStr, ValidationError

from orchestrator.settings import OrchestratorSettings
from tests.conftest import SERVICE_SECRET


def _pool(text: str) -> dict[str, str]:
    return OrchestratorSettings(service_secret=SecretStr(SERVICE_SECRET), training_url=text).pools["training"]


def test_one_address_is_called_like_its_service() -> None:
    assert _pool("http://127.0.0.1:8001") == {"training": "http://127.0.0.1:8001"}


def test_several_have_the_names_they_are_given() -> None:
    told = _pool("training=http://a:8001, big=http://b:8001")
    assert told == {"training": "http://a:8001", "big": "http://b:8001"}


def test_nameless_ones_among_several_are_called_like_their_hosts() -> None:
    assert _pool("http://a:8001,http://b:8001") == {"a:8001": "http://a:8001", "b:8001": "http://b:8001"}


@pytest.mark.parametrize(
    "text", ["", "a:8001", "x=http://a,x=http://b", "http://a,http://a", "analyzer=http://a", "a/b=http://c", "ftp://a"]
)
def test_a_name_that_could_mean_two_workers_or_none_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        _pool(text)
