"""Serving keeps to its bounds of memory, time and callers, and leaves nothing behind."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest

from tests.integration.serving.conftest import GREEN, QUESTIONS
from tests.integration.serving.service import House, running_house
from tests.waiting import eventually

_IDLE_S = 3.0
_SILENCE_S = 6.0
_MEMORY_GB = 0.0016
"""Room for two of the tiny models with what their answers take, and not for three."""


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of three callers, whose bases `one`, `two` and `three` do not fit into memory together."""
    from services.training.export.tiny import make_tiny
    from tests.integration.evaluator.tiny import teach, widened

    folder: Path = tmp_path_factory.mktemp("narrow")
    limits: dict[str, Any] = {
        "serving_queue": 3, "serving_idle_s": _IDLE_S, "serving_memory_gb": _MEMORY_GB, "serving_silence_s": _SILENCE_S,
    }  # fmt: skip
    with running_house(folder, **limits) as started:
        for seed, name in enumerate(("one", "two", "three")):
            make_tiny(QUESTIONS, folder / name, seed=seed, pretrain_steps=0)
            started.register(name, folder / name)
        taught = teach(folder / "one", folder / "taught", list(zip(QUESTIONS, GREEN, strict=True)))
        started.register("taught", folder / "one", taught)
        started.register("wide", widened(folder / "one", folder / "wide", vocabulary=20_000))
        yield started


def _bases(house: House) -> list[str]:
    return [one["base"] for one in house.training.view()["loaded"] if one.get("adapter") is None]


def test_what_was_asked_for_longest_ago_makes_room(narrow: House) -> None:
    firsts = [narrow.ask(name, "x").choices[0].message.content for name in ("one", "two", "three")]
    held = _bases(narrow)
    assert 1 <= len(held) < 3
    again = [narrow.ask(name, "x").choices[0].message.content for name in ("one", "two", "three")]
    assert again == firsts
    assert len(set(firsts)) == 3


def test_everybody_is_answered_in_turn_when_not_all_models_fit(narrow: House) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda name: narrow.ask(name, "x", max_tokens=40), ("three", "one", "two")))
    assert [answer.usage.completion_tokens > 0 for answer in found] == [True] * 3


def test_a_model_that_never_fits_is_refused_with_the_setting_to_change(narrow: House) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="TRAINING_SERVING_MEMORY_GB") as caught:
        narrow.ask("wide", "x")
    assert (caught.value.param, caught.value.code) == ("model", "model_unusable")


def test_one_caller_too_many_is_told_when_to_come_back(narrow: House) -> None:
    narrow.ask("one", "x")
    (engine,) = narrow.training.engines()
    engine.suspend()
    try:
        with ThreadPoolExecutor(3) as pool:
            patient = [pool.submit(narrow.ask, "one", "x") for _ in range(3)]
            eventually(narrow.training.view, lambda view: view["in_flight"] == 3)
            with pytest.raises(openai.RateLimitError) as caught:
                narrow.ask("one", "x")
            engine.resume()
            assert all(answer.result().usage.completion_tokens for answer in patient)
    finally:
        engine.resume()
    assert caught.value.code == "serving_queue_full"
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_an_engine_that_hangs_is_replaced_and_its_callers_are_told(narrow: House) -> None:
    narrow.ask("one", "x")
    (engine,) = narrow.training.engines()
    engine.suspend()
    with pytest.raises(openai.InternalServerError) as caught:
        narrow.ask("one", "x")
    assert (caught.value.status_code, caught.value.code) == (503, "engine_lost")
    assert narrow.ask("one", "x").usage.completion_tokens > 0
    assert engine.pid not in {one.pid for one in narrow.training.engines()}


def test_what_nobody_asks_for_is_unloaded_and_the_engine_ends(narrow: House) -> None:
    assert narrow.ask("taught", QUESTIONS[0]).choices[0].message.content == "green"
    (engine,) = narrow.training.engines()
    eventually(narrow.training.view, lambda view: view["engine"] == "off" and not view["loaded"], within_s=30)
    eventually(lambda: not psutil.pid_exists(engine.pid))
    assert narrow.ask("taught", QUESTIONS[1]).choices[0].message.content == "Paris"


def test_a_stream_whose_service_dies_ends_with_a_fault(narrow: House) -> None:
    messages: Any = [{"role": "user", "content": "x"}]
    stream = narrow.client.chat.completions.create(model="two", messages=messages, max_tokens=400, stream=True, seed=1)
    next(iter(stream))
    (engine,) = narrow.training.engines()
    engine.suspend()
    assert narrow.training.process is not None
    narrow.training.process.kill()
    narrow.training.process.wait()
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "answer_broken_off"
    narrow.training.start()
    assert "serving_calls_in_flight 0.0" in narrow.training.http.get("/metrics").text


def test_the_engine_dies_with_its_service(narrow: House) -> None:
    narrow.ask("one", "x")
    (engine,) = narrow.training.engines()
    assert narrow.training.process is not None
    narrow.training.process.kill()
    narrow.training.process.wait()
    eventually(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(openai.InternalServerError) as caught:
        narrow.ask("one", "x")
    assert (caught.value.status_code, caught.value.code) == (503, "peer_unavailable")
    narrow.training.start()
    answer: Any = eventually(lambda: _asked(narrow), within_s=30)
    assert answer.usage.completion_tokens > 0


def _asked(house: House) -> Any:
    try:
        return house.ask("one", "x")
    except openai.InternalServerError:
        return None
