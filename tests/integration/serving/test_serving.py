"""OpenAI's own client talks to the models of the registry."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.integration.serving.conftest import GREEN, QUESTIONS, RED
from tests.integration.serving.service import House
from tests.waiting import eventually


def _say(answer: Any) -> str:
    return str(answer.choices[0].message.content).strip()


def test_an_adapter_answers_what_it_learned(house: House) -> None:
    answer = house.ask("green@1", QUESTIONS[0])
    assert (_say(answer), answer.model, answer.object) == ("green", "green@1", "chat.completion")
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens
    assert usage.completion_tokens > 0


def test_a_stream_says_the_same_piece_by_piece(house: House) -> None:
    messages: Any = [{"role": "user", "content": QUESTIONS[3]}]
    chunks = list(
        house.client.chat.completions.create(
            model="red", messages=messages, temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces).strip() == "灰色"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_adapters_and_their_base_answer_side_by_side(house: House) -> None:
    """Each with its own words, whoever else is answered in the same moment."""
    wanted = [(name, question, answer)
              for name, answers in (("green", GREEN), ("red@1", RED))
              for question, answer in zip(QUESTIONS, answers, strict=True)] * 2  # fmt: skip
    with ThreadPoolExecutor(len(wanted) + 2) as pool:
        base = [pool.submit(house.ask, "plain", QUESTIONS[0], max_tokens=40) for _ in range(2)]
        found = list(pool.map(lambda one: _say(house.ask(one[0], one[1])), wanted))
    assert found == [answer for _, _, answer in wanted]
    assert _say(base[0].result()) == _say(base[1].result()) not in {"green", "red and brown"}
    assert len([one for one in house.training.view()["loaded"] if one.get("adapter") is None]) == 1


def test_the_same_seed_draws_the_same_answer_in_any_company(house: House) -> None:
    def draw(seed: int) -> str:
        return _say(house.ask("plain", "Tell me.", temperature=1.5, top_p=0.9, seed=seed, max_tokens=24))

    alone = draw(7)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw, (7, 8, 9, 7)))
    assert together[0] == together[3] == alone
    assert len(set(together)) == 3


def test_a_stop_sequence_ends_the_answer_and_is_not_told(house: House) -> None:
    whole = _say(house.ask("red", QUESTIONS[0]))
    assert whole == "red and brown"
    answer = house.ask("red", QUESTIONS[0], stop=["nd b", "never"])
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("red a", "stop")
    messages: Any = [{"role": "user", "content": QUESTIONS[0]}]
    chunks = house.client.chat.completions.create(
        model="red", messages=messages, temperature=0, stream=True, stop=" and brown"
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "red"


def test_the_longest_answer_is_cut_and_says_so(house: House) -> None:
    answer = house.ask("plain", "Go on.", max_tokens=3)
    assert (answer.choices[0].finish_reason, answer.usage.completion_tokens) == ("length", 3)


def test_every_version_is_listed(house: House) -> None:
    assert {model.id for model in house.client.models.list()} >= {"plain@1", "green@1", "red@1"}
    assert house.client.models.retrieve("green").id == "green@1"


@pytest.mark.parametrize(
    ("change", "status", "param", "code"),
    [
        ({"model": "gpt-4o"}, 404, "model", "model_not_found"),
        ({"messages": [{"role": "user", "content": "word " * 3000}]}, 422, "messages", "context_length_exceeded"),
        ({"messages": [{"role": "assistant", "content": "hello"}]}, 422, None, "invalid_value"),
        ({"temperature": 3}, 422, "temperature", "invalid_value"),
        ({"max_tokens": 0}, 422, "max_tokens", "invalid_value"),
        ({"extra_body": {"top_k": 4}}, 422, "top_k", "invalid_value"),
    ],
)
def test_a_wrong_request_is_refused_with_the_field_and_the_fix(
    house: House, change: dict[str, Any], status: int, param: str | None, code: str
) -> None:
    asked: Any = {"model": "plain", "messages": [{"role": "user", "content": "x"}], **change}
    with pytest.raises(openai.APIStatusError) as caught:
        house.client.chat.completions.create(**asked)
    fault = caught.value
    assert (fault.status_code, fault.param, fault.code) == (status, param, code)
    assert fault.request_id


def test_a_caller_who_hangs_up_frees_the_place(house: House) -> None:
    messages: Any = [{"role": "user", "content": "Go on."}]
    stream = house.client.chat.completions.create(
        model="plain", messages=messages, max_tokens=400, stream=True, seed=1, temperature=2
    )
    next(iter(stream))
    assert house.training.view()["in_flight"] == 1
    stream.close()
    eventually(house.training.is_quiet)


def test_a_caller_who_waits_for_the_whole_answer_may_hang_up_too(house: House) -> None:
    with pytest.raises(openai.APITimeoutError):
        house.ask("plain", "Go on.", max_tokens=400, seed=1, temperature=2, timeout=0.05)
    eventually(house.training.is_quiet)


def test_a_killed_engine_is_told_to_everybody_and_starts_again(house: House) -> None:
    house.ask("green", QUESTIONS[0])
    (engine,) = house.training.engines()
    faults: list[openai.APIError] = []
    begun = threading.Barrier(3)

    def talk(stream: bool) -> None:
        messages: Any = [{"role": "user", "content": "Go on."}]
        try:
            if stream:
                told = house.client.chat.completions.create(
                    model="plain", messages=messages, max_tokens=400, stream=True, seed=1, temperature=2
                )
                next(iter(told))
                begun.wait()
                list(told)
            else:
                begun.wait()
                house.ask("plain", "Go on.", max_tokens=400, seed=1, temperature=2)
        except openai.APIError as fault:
            faults.append(fault)

    engine.suspend()
    with ThreadPoolExecutor(2) as pool:
        pool.submit(talk, False)
        engine.resume()
        pool.submit(talk, True)
        begun.wait()
        engine.suspend()
        eventually(house.training.view, lambda view: view["in_flight"] >= 1)
        engine.kill()
    assert faults, "nobody was told"
    assert {fault.code for fault in faults} == {"engine_lost"}
    eventually(house.training.view, lambda view: view["engine"] == "on", within_s=60)
    assert _say(house.ask("green", QUESTIONS[1])) == "Paris"
    assert [one.pid for one in house.training.engines()] != [engine.pid]
