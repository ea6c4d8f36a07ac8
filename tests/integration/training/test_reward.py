"""Stage rm: a model that puts a number to an answer, made of pairs of which one answer is wanted."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from services.training.checkpoints import fault_of, folders
from shared.contracts.work import AttemptCause, Control, Outcome
from tests.integration.training.laboratory import QUICK, Event, Laboratory, Run
from tests.integration.training.test_objectives import PREFERENCES, SHORT, adapted, succeeded

REWARD = {**QUICK, "stage": "rm", "maxSteps": 40, "saveSteps": 10, "epochs": 50.0}


@pytest.fixture(scope="module")
def reward(laboratory: Laboratory) -> Run:
    """A reward model whose training nothing interrupted."""
    return succeeded(laboratory.train(REWARD, rows=PREFERENCES))


def scores(laboratory: Laboratory, run: Run, rows: list[list[Event]]) -> list[float]:
    """What the published reward model thinks of whole conversations, as who downloads it would ask it."""
    made: Any = run.result.result["model"]
    base, folder = (laboratory.store.materialise(made[part]) for part in ("base", "adapter"))
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder).eval()
    head = load_file(folder / "value_head.safetensors")
    found = []
    for row in rows:
        text = tokenizer.apply_chat_template(row, tokenize=False)
        tokens = tokenizer(text, add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            last = model(**tokens, output_hidden_states=True).hidden_states[-1][0, -1]
            found.append(float(last @ head["v_head.summary.weight"][0] + head["v_head.summary.bias"][0]))
    return found


def test_a_published_reward_model_gives_the_wanted_answer_more(laboratory: Laboratory, reward: Run) -> None:
    assert reward.result.result["model"]["purpose"] == "reward"  # type: ignore[index, call-overload]
    wanted, unwanted = (
        scores(laboratory, reward, [[*row["messages"], row[answer]] for row in PREFERENCES[:8]])
        for answer in ("chosen", "rejected")
    )
    assert all(good > bad for good, bad in zip(wanted, unwanted, strict=True))


def test_its_accuracy_on_pairs_held_out_is_on_the_stream(laboratory: Laboratory) -> None:
    spec = {**REWARD, "maxSteps": 8, "evalSteps": 4, "validationDataset": "held-out"}
    run = succeeded(laboratory.train(spec, rows=PREFERENCES, validation=PREFERENCES[:8]))
    measured = [data for data in run.told("metrics_update") if "val_loss" in data]
    assert [data["step"] for data in measured] == [4, 8]
    assert all(0 <= data["val_accuracy"] <= 1 for data in measured)


def test_a_checkpoint_is_sealed_with_its_value_head(reward: Run) -> None:
    found = folders(reward.checkpoints)
    assert [step for step, _ in found] == [40, 30]
    for step, path in found:
        assert fault_of(path, step) is None
        assert (path / "value_head.safetensors").is_file()


@pytest.mark.parametrize("control", [Control.PAUSE, None], ids=["paused", "killed"])
def test_an_interrupted_reward_model_goes_on_bit_for_bit(
    laboratory: Laboratory, reward: Run, control: Control | None
) -> None:
    cut = laboratory.begin(REWARD, rows=PREFERENCES)
    number = signal.SIGKILL if control is None else signal.SIGTERM
    laboratory.signal(cut, number, after_step=12, control=control)
    cause = AttemptCause.RETRY if control is None else AttemptCause.RESUME
    resumed = succeeded(laboratory.train(REWARD, after=cut, cause=cause, rows=PREFERENCES))
    assert resumed.told("training_rewound")[0]["to_step"] >= 10
    assert {**cut.losses(), **resumed.losses()} == reward.losses()
    assert resumed.result.artifacts == reward.result.artifacts


def _shares_its_embedding(folder: Path) -> None:
    """As small models do: their output layer is their embedding."""
    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))


@pytest.mark.parametrize("kind", ["full", "freeze", "oft"])
def test_a_reward_model_of_every_method_goes_on_bit_for_bit(laboratory: Laboratory, kind: str) -> None:
    base = laboratory.variant(_shares_its_embedding) if kind == "full" else laboratory.base()
    spec = {**REWARD, "finetuningType": kind, "maxSteps": 12, "saveSteps": 5, "learningRate": 0.002}
    straight = succeeded(laboratory.train(spec, rows=PREFERENCES, base=base))
    cut = laboratory.begin(spec, rows=PREFERENCES, base=base)
    laboratory.signal(cut, signal.SIGTERM, after_step=5, control=Control.PAUSE)
    resumed = succeeded(laboratory.train(spec, after=cut, cause=AttemptCause.RESUME, rows=PREFERENCES, base=base))
    assert resumed.told("training_rewound")[0]["to_step"] >= 5
    assert {**cut.losses(), **resumed.losses()} == straight.losses()
    assert resumed.result.artifacts == straight.result.artifacts
    published = laboratory.store.materialise(resumed.result.artifacts[0].sha256)
    assert (published / "value_head.safetensors").is_file()


def test_a_reward_model_is_made_of_an_sft_adapter_and_trained_on(laboratory: Laboratory, whole: Run) -> None:
    spec = {**SHORT, "stage": "rm"}
    first = succeeded(laboratory.train(spec, rows=PREFERENCES, base=adapted(laboratory, whole)))
    again = succeeded(laboratory.train({**spec, "maxSteps": 1}, rows=PREFERENCES, base=adapted(laboratory, first)))
    # It begins where the first one ended: its head was not drawn anew.
    assert again.losses()[1] == pytest.approx(first.losses()[4], abs=0.4)
    assert again.losses()[1] < first.losses()[1]


def test_rows_without_a_pair_are_told(laboratory: Laboratory) -> None:
    run = laboratory.train({**SHORT, "stage": "rm"})
    assert run.result.outcome is Outcome.FAILED
    assert run.result.failure is not None
    assert run.result.failure.reason == "no_trainable_rows"
    assert "needs preferences" in run.result.failure.message
