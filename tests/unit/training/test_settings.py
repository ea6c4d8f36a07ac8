"""Engines learn from their service where exports may be sent, whatever else the operator lets through."""

from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from services.training.settings import TrainingSettings
from shared.worker.environment import engine_environment
from tests.conftest import SERVICE_SECRET


def test_engines_are_told_of_ollama_servers_and_of_what_the_operator_adds(tmp_path: Path) -> None:
    for further in ([], ["HTTP_PROXY"]):
        settings = TrainingSettings(service_secret=SecretStr(SERVICE_SECRET), engine_environment=further)
        own = {"IMTS_OLLAMA_TARGETS": "office=http://x:1", "HTTP_PROXY": "http://p", "IMTS_SERVICE_SECRET": "no"}
        told = engine_environment(own, tmp_path, settings.engine_environment)
        assert told["IMTS_OLLAMA_TARGETS"] == "office=http://x:1"
        assert ("HTTP_PROXY" in told) is bool(further)
        assert "IMTS_SERVICE_SECRET" not in told


def test_a_target_that_cannot_be_read_stops_the_start_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMTS_OLLAMA_TARGETS", "http://10.0.0.5:11434")
    with pytest.raises(ValidationError, match="IMTS_OLLAMA_TARGETS"):
        TrainingSettings(service_secret=SecretStr(SERVICE_SECRET))
