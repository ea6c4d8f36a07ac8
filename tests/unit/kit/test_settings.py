"""A service tells every fault of its settings at once, and no secret."""

import pytest
from pydantic_settings import SettingsConfigDict

from shared.kit.settings import ServiceSettings, is_loopback, load_settings
from tests.conftest import SERVICE_SECRET


class Settings(ServiceSettings):
    """Some service's settings."""

    model_config = SettingsConfigDict(env_prefix="SOME_", frozen=True)


def test_all_faults_are_told_and_no_value_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOME_PORT", "99999999")
    monkeypatch.setenv("SOME_THREADS", "hush-hush")
    with pytest.raises(SystemExit) as stopped:
        load_settings(Settings)
    said = capsys.readouterr().err
    assert stopped.value.code == 78
    assert "SOME_PORT" in said
    assert "SOME_THREADS" in said
    assert "hush-hush" not in said


def test_a_short_secret_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("IMTS_SERVICE_SECRET", "short")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert "IMTS_SERVICE_SECRET" in capsys.readouterr().err


def test_binding_beyond_loopback_needs_a_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMTS_SERVICE_SECRET", SERVICE_SECRET)
    monkeypatch.delenv("IMTS_API_KEY", raising=False)
    monkeypatch.setenv("SOME_HOST", "0.0.0.0")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    assert "IMTS_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("IMTS_API_KEY", "imts-a-key-that-was-preset")
    assert load_settings(Settings).host == "0.0.0.0"


def test_settings_never_print_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMTS_SERVICE_SECRET", SERVICE_SECRET)
    assert SERVICE_SECRET not in repr(load_settings(Settings))


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False)],
)
def test_loopback_is_recognised(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local


def test_variables_of_other_programs_are_not_taken_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMTS_SERVICE_SECRET", SERVICE_SECRET)
    monkeypatch.delenv("IMTS_API_KEY", raising=False)
    monkeypatch.setenv("API_KEY", "of-something-else")
    monkeypatch.setenv("LOG_LEVEL", "trace")
    found = load_settings(Settings)
    assert (found.api_key.get_secret_value(), found.log_level) == ("", "INFO")
