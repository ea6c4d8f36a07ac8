"""Stages that learn from preferences, methods besides LoRA, and the options of both, each trained for real."""

import signal
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.contracts.work import AttemptCause, Control, ModelInput, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Event, Laboratory, Run, conversation

SHORT = {**QUICK, "maxSteps": 4}


def _preference(a: int, b: int) -> Event:
    question = [{"role": "user", "content": f"What is {a} + {b}?"}]
    good, bad = ({"role": "assistant", "content": answer} for answer in ("7", "3"))
    return {"messages": question, "chosen": good, "rejected": bad}


PREFERENCES = [_preference(a, b) for a in range(6) for b in range(6)]
LABELLED = [{**conversation(f"What is {a} + 1?", str(a + 1 + a % 2)), "label": a % 2 == 0} for a in range(32)]


def succeeded(run: Run) -> Run:
    assert run.result.outcome is Outcome.SUCCEEDED, run.result
    return run


def model_of(laboratory: Laboratory, run: Run) -> Any:
    """The published model, as who downloads it would load it."""
    model = run.result.result["model"]
    assert isinstance(model, dict)
    base = AutoModelForCausalLM.from_pretrained(laboratory.store.materialise(str(model["base"])))
    if model["adapter"] is None:
        return base
    return PeftModel.from_pretrained(base, laboratory.store.materialise(str(model["adapter"]))).merge_and_unload()


def adapted(laboratory: Laboratory, run: Run) -> ModelInput:
    return laboratory.base().model_copy(update={"adapter": run.result.artifacts[0].sha256})


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo", "kto_pair", "orpo", "simpo"])
def test_dpo_learns_to_prefer_by_every_loss(laboratory: Laboratory, loss: str) -> None:
    spec = {**QUICK, "stage": "dpo", "prefLoss": loss, "learningRate": 0.02}
    run = succeeded(laboratory.train(spec, rows=PREFERENCES))
    margins = [data["rewards"]["margins"] for data in run.told("metrics_update")]
    assert len(margins) == 12
    assert margins[-1] > margins[0]


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_kto_learns_from_single_marked_answers(laboratory: Laboratory, kind: str) -> None:
    run = succeeded(laboratory.train({**SHORT, "stage": "kto", "finetuningType": kind}, rows=LABELLED))
    assert sorted(run.losses()) == [1, 2, 3, 4]
    assert run.result.result["model"]["name"] == f"tiny-kto-{kind}"  # type: ignore[index, call-overload]


def test_dpo_on_an_sft_adapter_starts_with_no_distance_from_it(laboratory: Laboratory, whole: Run) -> None:
    spec = {**SHORT, "stage": "dpo", "maxSteps": 1}
    run = succeeded(laboratory.train(spec, rows=PREFERENCES, base=adapted(laboratory, whole)))
    (first,) = run.told("metrics_update")
    assert first["rewards"]["chosen"] == pytest.approx(0, abs=1e-4)
    assert first["train_loss"] == pytest.approx(0.6931, abs=1e-3)


def test_dpo_validates_on_preferences(laboratory: Laboratory) -> None:
    spec = {**SHORT, "stage": "dpo", "maxSteps": 2, "evalSteps": 2, "validationDataset": "held-out"}
    run = succeeded(laboratory.train(spec, rows=PREFERENCES, validation=PREFERENCES[:8]))
    last = run.told("metrics_update")[-1]
    assert last["val_loss"] > 0
    assert 0 <= last["val_rewards"]["accuracies"] <= 1


@pytest.mark.parametrize(
    ("kind", "options", "artifact"),
    [
        ("oft", {"oftBlockSize": 16}, "adapter"),
        ("freeze", {"freezeTrainableLayers": 1}, "model"),
        ("freeze", {"freezeTrainableModules": ["mlp"], "freezeExtraModules": ["embed_tokens"]}, "model"),
        ("lora", {"useRslora": True}, "adapter"),
        ("lora", {"useDora": True}, "adapter"),
        ("lora", {"loraplusLrRatio": 16.0}, "adapter"),
        ("lora", {"quantizationBit": 4}, "adapter"),
        ("lora", {"quantizationBit": 8}, "adapter"),
        ("full", {"gradientCheckpointing": "on"}, "model"),
    ],
)
def test_each_method_and_option_trains_and_publishes_what_loads(
    laboratory: Laboratory, kind: str, options: dict[str, Any], artifact: str
) -> None:
    run = succeeded(laboratory.train({**QUICK, "finetuningType": kind, **options}))
    assert run.losses()[12] < run.losses()[1]
    assert run.result.artifacts[0].name == artifact
    assert model_of(laboratory, run).config.model_type == "llama"


def test_a_quantized_base_is_near_the_whole_one_and_not_it(laboratory: Laboratory, whole: Run) -> None:
    first = {bits: laboratory.train({**SHORT, "quantizationBit": bits}).losses()[1] for bits in (4, 8)}
    exact = whole.losses()[1]
    assert 0 < abs(first[8] - exact) < abs(first[4] - exact) < 0.2


def test_what_is_frozen_does_not_change(laboratory: Laboratory) -> None:
    run = succeeded(laboratory.train({**SHORT, "finetuningType": "freeze", "freezeTrainableLayers": 1}))
    before = AutoModelForCausalLM.from_pretrained(laboratory.store.materialise(laboratory.base().base)).state_dict()
    after = model_of(laboratory, run).state_dict()
    changed = {name.split(".")[2] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"1"}


def test_a_pissa_adapter_fits_the_untouched_base(laboratory: Laboratory) -> None:
    pissa = {**QUICK, "pissaInit": True, "lrSchedulerType": "constant"}
    run = succeeded(laboratory.train(pissa, validation=SUMS[:8]))
    validated = {**pissa, "validationDataset": "held-out", "evalSteps": 12}
    ended_at = succeeded(laboratory.train(validated, validation=SUMS[:8])).told("metrics_update")[-1]["val_loss"]
    # Trained on by nearly nothing: what is measured is the adapter as it was published, on the base as it was.
    still = {**QUICK, "maxSteps": 1, "learningRate": 1e-12, "validationDataset": "held-out", "evalSteps": 1}
    again = succeeded(laboratory.train(still, validation=SUMS[:8], base=adapted(laboratory, run)))
    assert again.told("metrics_update")[-1]["val_loss"] == pytest.approx(ended_at, rel=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"pissaInit": True}, {"quantizationBit": 4}, {"stage": "dpo"}, {"stage": "kto"}, {"finetuningType": "oft"}],
)
def test_a_paused_run_goes_on_bit_for_bit(laboratory: Laboratory, options: dict[str, Any]) -> None:
    rows = {"dpo": PREFERENCES, "kto": LABELLED}.get(str(options.get("stage")), SUMS)
    spec = {**QUICK, "maxSteps": 40, "saveSteps": 100, "epochs": 50.0, **options}
    whole = succeeded(laboratory.train(spec, rows=rows))
    cut = laboratory.begin(spec, rows=rows)
    laboratory.signal(cut, signal.SIGTERM, after_step=5, control=Control.PAUSE)
    assert cut.result.outcome is Outcome.PAUSED
    resumed = succeeded(laboratory.train(spec, after=cut, cause=AttemptCause.RESUME, rows=rows))
    assert {**cut.losses(), **resumed.losses()} == whole.losses()
    assert resumed.result.artifacts == whole.result.artifacts


def test_packed_rows_share_a_block(laboratory: Laboratory) -> None:
    plain, packed, neat = (
        _steps_of_an_epoch(laboratory, **options) for options in ({}, {"packing": True}, {"neatPacking": True})
    )
    assert packed < plain / 2
    assert neat == packed


def _steps_of_an_epoch(laboratory: Laboratory, **options: Any) -> int:
    spec = {**QUICK, "epochs": 1.0, "batchSize": 1, "cutoffLen": 128, **options}
    del spec["maxSteps"]
    run = succeeded(laboratory.train(spec, rows=SUMS[:24]))
    assert all(told["tokens_per_second"] > 0 for told in run.told("metrics_update")), options
    return max(run.losses())


def test_the_prompt_and_the_history_are_learnt_only_when_asked(laboratory: Laboratory) -> None:
    long = {"messages": [*SUMS[9]["messages"], *SUMS[10]["messages"]]}
    first = {
        name: laboratory.train({**SHORT, "maxSteps": 1, "cutoffLen": 128, **options}, rows=[long] * 4).losses()[1]
        for name, options in {"plain": {}, "prompt": {"trainOnPrompt": True}, "last": {"maskHistory": True}}.items()
    }
    assert len(set(first.values())) == 3, first


def test_a_training_ends_when_its_validation_loss_falls_no_more(laboratory: Laboratory) -> None:
    spec = {
        **QUICK, "maxSteps": 200, "learningRate": 0.2, "evalSteps": 2, "earlyStoppingEvaluations": 2,
        "validationDataset": "held-out", "lrSchedulerType": "constant",
    }  # fmt: skip
    run = succeeded(laboratory.train(spec, validation=SUMS[:8]))
    ended_at = max(run.losses())
    assert ended_at < 200
    losses = [data["val_loss"] for data in run.told("metrics_update") if "val_loss" in data]
    assert min(losses) == losses[-3]
    assert run.told("log")[-1]["message"].endswith("the training ends here")


def test_an_option_that_this_machine_lacks_is_the_users_to_drop(laboratory: Laboratory, whole: Run) -> None:
    for spec, base in (
        ({**SHORT, "precision": "fp16"}, None),
        ({**SHORT, "useDora": True}, adapted(laboratory, whole)),
    ):
        run = laboratory.train(spec, base=base)
        assert run.result.failure is not None
        assert run.result.failure.reason == "option_unsupported"
