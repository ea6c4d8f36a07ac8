"""A model goes into a running Ollama server: its file by its hash, then a model made of it."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from shared.contracts.work import JobKind, ModelInput
from tests.fakes.ollama import FakeOllama
from tests.integration.training.laboratory import Laboratory, Run
from tests.integration.training.test_gguf import file_of


@pytest.fixture(autouse=True)
def well_behaved(ollama: FakeOllama) -> Iterator[None]:
    yield
    ollama.refuses, ollama.hangs_up, ollama.damages, ollama.redirects_to = "", False, False, ""
    ollama.blobs.clear()


def send(laboratory: Laboratory, model: ModelInput | None = None, **options: Any) -> Run:
    model = model or laboratory.base()
    spec = {"operation": "ollama", "modelName": model.name, "target": "office", "quantization": "f16", **options}
    return laboratory.train(spec, kind=JobKind.EXPORT, base=model)


def test_a_model_is_made_of_the_very_file_that_the_job_leaves(laboratory: Laboratory, ollama: FakeOllama) -> None:
    run = send(laboratory, outputName="helper", license="mit")
    path = file_of(laboratory, run)
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    made = ollama.models["helper"]
    assert made["files"] == {"helper.gguf": digest}
    assert made["license"] == "mit"
    assert "<|im_start|>user\n{{ .Content }}<|im_end|>" in made["template"]
    assert set(made["parameters"]["stop"]) == {"<|im_start|>", "<|im_end|>"}
    details = {"format": "gguf", "family": "llama", "quantization_level": "F16"}
    assert run.result.result["ollama"] == {"target": "office", "model": "helper", "details": details}
    assert [one["message"] for one in run.told("log")][-1] == "Ollama: success"


def test_a_file_that_is_there_is_not_sent_again(laboratory: Laboratory, ollama: FakeOllama) -> None:
    send(laboratory)
    sent = ollama.uploads
    assert send(laboratory).result.failure is None
    assert ollama.uploads == sent


def test_the_servers_own_words_are_told_when_it_refuses(laboratory: Laboratory, ollama: FakeOllama) -> None:
    ollama.refuses = "unsupported architecture"
    failure = send(laboratory).result.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("user", "target_refused")
    assert failure.message == "the Ollama server office refused: unsupported architecture"


def test_a_file_that_is_damaged_on_its_way_makes_no_model(laboratory: Laboratory, ollama: FakeOllama) -> None:
    ollama.damages = True
    failure = send(laboratory, outputName="damaged").result.failure
    assert failure is not None
    assert "digest mismatch" in failure.message
    assert "damaged" not in ollama.models


def test_a_server_that_breaks_off_is_worth_another_attempt(laboratory: Laboratory, ollama: FakeOllama) -> None:
    ollama.hangs_up = True
    failure = send(laboratory).result.failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == ("network_failed", True)
    assert "stopped talking after 'parsing GGUF'" in failure.message


def test_a_redirect_leads_nowhere(laboratory: Laboratory, ollama: FakeOllama) -> None:
    ollama.redirects_to = "http://127.0.0.1:9/api/blobs/x"
    failure = send(laboratory).result.failure
    assert failure is not None
    assert failure.message == "the Ollama server office: asked for a blob it answered 307"


def test_only_configured_servers_are_called(laboratory: Laboratory) -> None:
    failure = send(laboratory, target="elsewhere").result.failure
    assert failure is not None
    assert (failure.reason, failure.message) == (
        "option_unsupported", "target elsewhere is not configured on this worker; configured: office",
    )  # fmt: skip
