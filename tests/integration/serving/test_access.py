"""Who may ask whom, which models may be asked, and where another server answers."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI

from shared.contracts.models import ModelPurpose
from shared.kit.auth import ServiceTokens
from tests.integration.orchestrator.registry import KEY, NOBODY, running_registry
from tests.integration.serving.conftest import QUESTIONS
from tests.integration.serving.service import House


def test_without_a_key_nothing_is_listed_or_answered(house: House) -> None:
    with OpenAI(base_url=house.client.base_url, api_key="imts-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            stranger.models.list()
        with pytest.raises(openai.AuthenticationError):
            stranger.chat.completions.create(model="plain", messages=[{"role": "user", "content": "x"}])


def test_a_reward_model_is_not_listed_and_writes_nothing(house: House) -> None:
    house.wiring.units.write(
        lambda uow: uow.models.add_version(
            name="judge",
            base="a" * 64,
            adapter=None,
            template="chatml",
            parameters=None,
            base_model=None,
            job_id=None,
            purpose=ModelPurpose.REWARD,
        )
    )
    assert "judge@1" not in {model.id for model in house.client.models.list()}
    with pytest.raises(openai.UnprocessableEntityError) as caught:
        house.ask("judge", "x")
    assert (caught.value.param, caught.value.code) == ("model", "model_purpose_mismatch")


def test_weights_that_are_gone_from_the_store_are_no_fault_of_the_caller(house: House) -> None:
    house.wiring.units.write(
        lambda uow: uow.models.add_version(
            name="lost", base="b" * 64, adapter=None, template="chatml", parameters=None, base_model=None, job_id=None
        )
    )
    with pytest.raises(openai.APIStatusError) as caught:
        house.ask("lost", "x")
    assert caught.value.code == "artifact_not_found"


@pytest.mark.parametrize("body", [b'{"temperature": NaN}', b"[1e999]", b'{"model": "\\ud800"}', b"{", b'{"a":1,"a":2}'])
def test_a_body_that_is_no_request_is_refused_as_everywhere(house: House, body: bytes) -> None:
    answer = house.user.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_only_services_may_ask_the_training_service_itself(house: House) -> None:
    token = ServiceTokens("orchestrator", "another secret, of another mesh!!").issue("training")
    headers = {"authorization": f"Bearer {token}"}
    answer = httpx.post(f"{house.training.url}/serving/completions", json={}, headers=headers, trust_env=False)
    assert answer.status_code == 401


def test_the_house_tells_what_it_has_loaded(house: House) -> None:
    house.ask("green", QUESTIONS[0])
    (view,) = house.user.get("/api/serving").json()["data"]
    assert (view["worker"], view["engine"]) == ("training", "on")
    assert {one["adapter"] is None for one in view["loaded"]} == {True, False}


def test_a_model_that_another_server_lists_is_answered_there(house: House, tmp_path: Path) -> None:
    """The other server speaks OpenAI's API: here it is the first house, and nobody else serves."""
    settings: dict[str, Any] = {
        "training_url": NOBODY, "serving_upstream_url": f"{house.client.base_url}".rstrip("/"),
        "serving_upstream_key": KEY,
    }  # fmt: skip
    with running_registry("", tmp_path / "front", **settings) as front:
        for name in ("green", "only-here"):
            _register(front, name)
        with OpenAI(
            base_url=front.user.base_url.join("/v1").human_repr()
            if False
            else f"{front.user.base_url}".rstrip("/") + "/v1",
            api_key=KEY,
            max_retries=0,
        ) as client:
            messages: Any = [{"role": "user", "content": QUESTIONS[0]}]
            answer = client.chat.completions.create(model="green", messages=messages, temperature=0)
            assert (answer.choices[0].message.content, answer.model) == ("green", "green@1")
            chunks = client.chat.completions.create(model="green", messages=messages, temperature=0, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "green"
            with pytest.raises(openai.UnprocessableEntityError) as refused:
                client.chat.completions.create(model="green", messages=[{"role": "user", "content": "word " * 3000}])
            assert refused.value.param == "messages"
            with pytest.raises(openai.InternalServerError) as silent:
                client.chat.completions.create(model="only-here", messages=messages)
            assert silent.value.code == "peer_unavailable"


def test_the_command_line_asks_and_shows_the_answer(house: House) -> None:
    url = f"{house.user.base_url}".rstrip("/")
    environment = {**os.environ, "IMTS_URL": url, "IMTS_API_KEY": KEY}

    def imts(*words: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "imts", "chat", *words]
        return subprocess.run(
            command, env=environment, input=said, capture_output=True, text=True, timeout=60, check=False
        )

    told = imts("green", QUESTIONS[3], "--temperature", "0")
    assert (told.returncode, told.stdout) == (0, "蓝色\n"), told.stderr
    assert imts("red", "--temperature", "0", said=QUESTIONS[0]).stdout == "red and brown\n"
    refused = imts("nobody", "x")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "imts models list" in refused.stderr


def _register(front: Any, name: str) -> None:
    front.wiring.units.write(
        lambda uow: uow.models.add_version(
            name=name, base="c" * 64, adapter=None, template="chatml", parameters=None, base_model=None, job_id=None
        )
    )
