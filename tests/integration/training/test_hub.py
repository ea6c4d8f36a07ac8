"""A version goes to a hub that the operator named: its files as a commit, the token to that hub and nowhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.work import JobKind, ModelInput
from tests.fakes.hub import TOKEN, FakeHub, serving_hub
from tests.integration.training.laboratory import Laboratory, Run
from tests.integration.training.test_objectives import adapted


@pytest.fixture(autouse=True)
def well_behaved(hub: FakeHub) -> Iterator[None]:
    yield
    hub.refuses, hub.redirects_to = None, ""


def send(laboratory: Laboratory, model: ModelInput | None = None, **options: Any) -> Run:
    model = model or laboratory.base()
    spec = {"operation": "hub", "modelName": model.name, "target": "hub", **options}
    return laboratory.train(spec, kind=JobKind.EXPORT, base=model)


def stored(laboratory: Laboratory, tree: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in laboratory.store.materialise(tree).iterdir()}


def test_a_model_and_an_adapter_become_commits_with_cards(laboratory: Laboratory, whole: Run, hub: FakeHub) -> None:
    run = send(laboratory)
    commit = f"{1:040x}"
    assert run.result.result["hub"] == {"target": "hub", "repository": "team/tiny", "commit": commit}, laboratory.log()
    own = stored(laboratory, laboratory.base().base)
    sent = hub.files("team/tiny")
    card = sent["README.md"].decode()
    assert {**sent, "README.md": b""} == {**own, "README.md": b""}
    assert "hub" in card
    assert stored(laboratory, laboratory.base().base) == own, "the store's own card was written over"
    assert hub.repositories["team/tiny"]["visibility"] == "private"
    model = adapted(laboratory, whole)
    assert model.adapter is not None
    assert send(laboratory, model, outputName="sums", private=False).result.failure is None
    assert set(hub.files("team/sums")) == set(stored(laboratory, model.adapter))
    assert hub.repositories["team/sums"]["visibility"] == "public"
    uploads = hub.uploads
    again = send(laboratory, model, outputName="sums")
    assert again.result.failure is None
    assert hub.uploads == uploads
    everything = b"".join(path.read_bytes() for path in laboratory.folder.glob("jobs/*/*/*") if path.is_file())
    assert TOKEN.encode() not in everything
    assert TOKEN not in laboratory.log()


@pytest.mark.parametrize(
    ("refuses", "reason", "is_retryable", "words"),
    [
        ((403, f"no write access for {TOKEN}"), "target_refused", False, "refused: no write access for *** (403)"),
        ((503, "maintenance"), "network_failed", True, "the hub hub: maintenance (503)"),
    ],
)
def test_the_hubs_own_words_are_told(
    laboratory: Laboratory, hub: FakeHub, refuses: tuple[int, str], reason: str, is_retryable: bool, words: str
) -> None:
    hub.refuses = refuses
    failure = send(laboratory, outputName="never").result.failure
    assert failure is not None
    assert (failure.reason, failure.retryable) == (reason, is_retryable)
    assert words in failure.message
    assert TOKEN not in failure.model_dump_json()
    assert "team/never" not in hub.repositories


def test_the_token_follows_no_redirect(laboratory: Laboratory, hub: FakeHub) -> None:
    with serving_hub() as elsewhere:
        hub.redirects_to = f"{elsewhere.url}/api/repos/create"
        failure = send(laboratory, outputName="led-away").result.failure
        assert failure is not None
        assert failure.reason == "target_refused"
        assert elsewhere.repositories == {}


def test_a_target_needs_its_token_and_its_name(laboratory: Laboratory, tmp_path: Path) -> None:
    for target, words in (("bare", "gave no token for target bare"), ("nobody", "configured: bare, hub")):
        failure = send(laboratory, target=target).result.failure
        assert failure is not None
        assert (failure.reason, failure.retryable) == ("option_unsupported", False)
        assert words in failure.message
