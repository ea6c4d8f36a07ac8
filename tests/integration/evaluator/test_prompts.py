"""A question reads to the model exactly as training showed it."""

from typing import Any

import pytest

from services.evaluator.suites import Question
from tests.integration.evaluator.conftest import Models


def _training_ids(tokenizer: Any, name: str, turns: list[dict[str, str]], system: str | None) -> tuple[Any, Any]:
    """Question and answer in the token ids that LLaMA-Factory trains on."""
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments

    template = get_template_and_fix_tokenizer(tokenizer, DataArguments(template=name))
    pairs = template.encode_multiturn(tokenizer, turns, system)
    history = [token for asked, said in pairs[:-1] for token in asked + said]
    return history + pairs[-1][0], pairs[-1][1]


@pytest.mark.parametrize("name", ["chatml", "default", "alpaca", "qwen3"])
def test_prompts_are_those_of_training(models: Models, name: str) -> None:
    from transformers import AutoTokenizer

    from services.evaluator.prompts import Prompter

    turns: list[Any] = [
        {"role": "user", "content": "What is 1 + 2?"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": "再加 4 呢？"},
    ]
    question = Question(1, ({"role": "system", "content": "Be brief."}, *turns), "7")
    ours = Prompter(name, AutoTokenizer.from_pretrained(models.base)).render(question, 1024, 1024)
    answered = [*turns, {"role": "assistant", "content": "7"}]
    asked, said = _training_ids(AutoTokenizer.from_pretrained(models.base), name, answered, "Be brief.")
    assert (ours.question, ours.answer, ours.is_cut) == (asked, said, False)


def test_chatml_is_the_tiny_models_own_chat_template(models: Models) -> None:
    from transformers import AutoTokenizer

    from services.evaluator.prompts import Prompter

    tokenizer = AutoTokenizer.from_pretrained(models.base)
    turns: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "3 加 4？"}]
    own = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    ours = Prompter("chatml", tokenizer).render(Question(1, tuple(turns), "7"), 1024, 1024)
    assert ours.question == own
