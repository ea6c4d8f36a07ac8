"""Every stage and kind of fine-tuning trains for real and says what it does."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from shared.contracts.work import JobKind, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run, conversation

TEXTS: list[dict[str, Any]] = [{"text": f"The sum of {a} and {b} is {a + b}."} for a in range(8) for b in range(8)]


def files_of(laboratory: Laboratory, run: Run) -> list[str]:
    (artifact,) = run.result.artifacts
    return [item.path for item in laboratory.store.tree(artifact.sha256)]


@pytest.mark.parametrize("stage", ["sft", "pt"])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_each_stage_and_kind_reports_every_step_once_and_publishes_weights(
    laboratory: Laboratory, stage: str, kind: str
) -> None:
    spec = {**QUICK, "stage": stage, "finetuningType": kind, "loggingSteps": 2}
    run = laboratory.train(spec, rows=TEXTS if stage == "pt" else SUMS)
    assert run.result.outcome is Outcome.SUCCEEDED, run.result
    assert sorted(run.losses()) == [2, 4, 6, 8, 10, 12]
    assert run.losses()[12] < run.losses()[2]
    (artifact,) = run.result.artifacts
    assert artifact.name == ("adapter" if kind == "lora" else "model")
    model = run.result.result["model"]
    assert isinstance(model, dict)
    base = laboratory.base().base
    expected = {"base": base, "adapter": artifact.sha256} if kind == "lora" else {"base": artifact.sha256}
    assert model.items() >= {"name": f"tiny-{stage}-{kind}", "template": "chatml", **expected}.items()


def test_an_adapter_is_published_without_optimizer_tokenizer_or_path(laboratory: Laboratory, whole: Run) -> None:
    assert files_of(laboratory, whole) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    folder = laboratory.store.materialise(whole.result.artifacts[0].sha256)
    assert str(laboratory.folder) not in (folder / "adapter_config.json").read_text()


def test_a_full_model_is_published_with_tokenizer_and_nothing_else(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, "finetuningType": "full", "maxSteps": 2})
    assert set(files_of(laboratory, run)) == {
        "config.json", "generation_config.json", "model.safetensors",
        "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "README.md",
    }  # fmt: skip


def test_a_logging_step_carries_all_figures(whole: Run) -> None:
    last = whole.told("metrics_update")[-1]
    assert last["step"] == last["total_steps"] == 12
    assert last["eta"] == "00:00:00"
    assert last["eta_seconds"] == 0
    assert last["training_speed"] > 0
    assert last["tokens_per_second"] > 0
    assert last["memory_used"] > 0
    assert last["model_info"]["name"] == "tiny"
    assert last["model_info"]["parameters"] > 100_000
    assert last["advanced_metrics"]["gradient_norm"] > 0
    assert last["advanced_metrics"]["lr_schedule"] == "cosine"
    assert last["advanced_metrics"]["batch_time"] > 0


def test_epochs_are_closed_once(laboratory: Laboratory) -> None:
    spec = {**QUICK, "epochs": 2.0, "batchSize": 16, "loggingSteps": 3}
    del spec["maxSteps"]
    run = laboratory.train(spec)
    assert [(data["epoch"], data["step"]) for data in run.told("epoch_completed")] == [(1, 4), (2, 8)]
    assert sorted(run.losses()) == [3, 6]


def test_a_run_shorter_than_its_logging_interval_is_logged_at_its_end(laboratory: Laboratory) -> None:
    run = laboratory.train({**QUICK, "maxSteps": 3, "loggingSteps": 10})
    assert sorted(run.losses()) == [3]


def test_validation_loss_comes_with_the_step_it_belongs_to(laboratory: Laboratory) -> None:
    spec = {**QUICK, "maxSteps": 6, "loggingSteps": 2, "evalSteps": 3, "validationDataset": "held-out"}
    run = laboratory.train(spec, validation=SUMS[:8])
    told = [(data["step"], "train_loss" in data, "val_loss" in data) for data in run.told("metrics_update")]
    assert told == [(2, True, False), (3, False, True), (4, True, False), (6, True, True)]
    metrics = run.result.result["metrics"]
    assert isinstance(metrics, dict)
    assert metrics["val_loss"] == run.told("metrics_update")[-1]["val_loss"]


def test_an_adapter_that_came_with_the_model_is_trained_on(laboratory: Laboratory, whole: Run) -> None:
    adapted = laboratory.base().model_copy(update={"adapter": whole.result.artifacts[0].sha256})
    run = laboratory.train({**QUICK, "maxSteps": 2}, base=adapted)
    assert run.losses()[1] < whole.losses()[1] - 0.3
    model = run.result.result["model"]
    assert isinstance(model, dict)
    assert model["base"] == adapted.base
    assert model["adapter"] != adapted.adapter


def test_tool_calls_and_tools_are_trained_on(laboratory: Laboratory) -> None:
    call = {"role": "assistant", "content": '{"name": "add", "arguments": {"a": 1}}', "tool_call": True}
    turns = [{"role": "user", "content": "1 + 1?"}, call, {"role": "tool", "content": "2"}]
    row = {"messages": [*turns, {"role": "assistant", "content": "It is 2."}], "tools": '[{"name": "add"}]'}
    broken = {"messages": [turns[0], {**call, "content": "add(1)"}]}
    run = laboratory.train({**QUICK, "maxSteps": 2, "cutoffLen": 512}, rows=[*[row] * 8, broken])
    assert run.result.outcome is Outcome.SUCCEEDED, run.result
    (warning,) = run.told("log")
    assert warning["rows"] == [9]
    assert "a tool call is not JSON" in warning["message"]


def test_rows_that_cannot_be_trained_on_are_left_out_and_named(laboratory: Laboratory) -> None:
    rows = [*SUMS[:8], {"text": "no conversation"}, {"messages": [{"role": "user", "content": "no answer"}]}]
    run = laboratory.train({**QUICK, "maxSteps": 1}, rows=rows)
    assert run.result.outcome is Outcome.SUCCEEDED
    (warning,) = run.told("log")
    assert warning["rows"] == [9, 10]


def test_texts_that_look_like_dates_stay_texts(laboratory: Laboratory) -> None:
    rows = [{"text": f"2024-01-{day:02d}"} for day in range(1, 29)]
    run = laboratory.train({**QUICK, "stage": "pt", "maxSteps": 1, "cutoffLen": 16, "batchSize": 1}, rows=rows)
    assert run.result.outcome is Outcome.SUCCEEDED, run.result


def test_nothing_is_left_beside_the_checkpoints(whole: Run) -> None:
    assert not (whole.folder / "scratch").exists()
    assert {path.name for path in whole.folder.iterdir()} <= {"spec.json", "events.jsonl", "outcome.json"}


FAULTS: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "no_trainable_rows": ({}, [{"text": "only text"}]),
    "dataset_too_small": ({"stage": "pt", "cutoffLen": 1024}, [{"text": "short"}]),
    "cutoff_too_short": ({"cutoffLen": 8}, [conversation("many words " * 50, "short yes")]),
    "loss_not_finite": (
        {
            "learningRate": 1.0,
            "finetuningType": "full",
            "maxSteps": 200,
            "maxGradNorm": 1000.0,
            "weightDecay": 10.0,
            "lossWatchdog": "off",
        },
        SUMS,
    ),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_a_fault_of_the_user_is_told_by_a_stable_reason(laboratory: Laboratory, reason: str) -> None:
    changes, rows = FAULTS[reason]
    run = laboratory.train({**QUICK, **changes}, rows=rows)
    failure = run.result.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason, failure.retryable) == ("user", reason, False), failure


def test_an_unknown_template_is_the_users_fault(laboratory: Laboratory) -> None:
    run = laboratory.train(QUICK, base=laboratory.base().model_copy(update={"template": "nonsense"}))
    assert run.result.failure is not None
    assert run.result.failure.reason == "unknown_template"


def test_full_fine_tuning_on_an_adapter_is_refused(laboratory: Laboratory, whole: Run) -> None:
    adapted = laboratory.base().model_copy(update={"adapter": whole.result.artifacts[0].sha256})
    run = laboratory.train({**QUICK, "finetuningType": "full"}, base=adapted)
    assert run.result.failure is not None
    assert run.result.failure.reason == "full_on_adapter"


def _lose_the_weights(model: Path) -> None:
    (model / "model.safetensors").unlink()


def _cut_the_weights_short(model: Path) -> None:
    weights = model / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)


def _lose_the_header(model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"\xff" * 100)


def _change_the_config(model: Path, **fields: object) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **fields}))


def _widen(model: Path) -> None:
    _change_the_config(model, intermediate_size=64)


def _be_of_an_unknown_kind(model: Path) -> None:
    _change_the_config(model, model_type="llama9", architectures=["Llama9ForCausalLM"])


def _lose_the_tokenizer(model: Path) -> None:
    for path in model.glob("*token*"):
        path.unlink()


def _know_fewer_tokens_than_the_tokenizer(model: Path) -> None:
    _change_the_config(model, vocab_size=8)
    tensors = load_file(model / "model.safetensors")
    few = {name: tensor[:8].clone() for name, tensor in tensors.items() if "embed_tokens" in name or "lm_head" in name}
    save_file({**tensors, **few}, model / "model.safetensors", metadata={"format": "pt"})


DAMAGES = {
    "model_missing": _lose_the_weights,
    "weights_damaged": _cut_the_weights_short,
    "weights_damaged-header": _lose_the_header,
    "weights_mismatch": _widen,
    "model_unusable": _be_of_an_unknown_kind,
    "tokenizer_missing": _lose_the_tokenizer,
    "token_out_of_range": _know_fewer_tokens_than_the_tokenizer,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_model_that_cannot_be_used_is_told_by_what_is_wrong_with_it(laboratory: Laboratory, damage: str) -> None:
    run = laboratory.train({**QUICK, "maxSteps": 2}, base=laboratory.variant(DAMAGES[damage]))
    failure = run.result.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("user", damage.partition("-")[0]), failure


def test_an_adapter_of_another_base_is_told(laboratory: Laboratory, whole: Run) -> None:
    narrow = laboratory.train({"operation": "make_tiny", "name": "narrow", "fromDataset": "sums", "pretrainSteps": 0,
                               "hiddenSize": 32, "heads": 2}, kind=JobKind.EXPORT)  # fmt: skip
    model = narrow.result.result["model"]
    assert isinstance(model, dict)
    foreign = laboratory.base().model_copy(
        update={"base": str(model["base"]), "adapter": whole.result.artifacts[0].sha256}
    )
    run = laboratory.train({**QUICK, "maxSteps": 2}, base=foreign)
    assert run.result.failure is not None
    assert run.result.failure.reason == "adapter_unusable", run.result.failure


def test_a_broken_row_is_told_with_its_number_and_its_data_set(laboratory: Laboratory) -> None:
    broken = {"messages": [{"role": "user", "content": "1 + 1?"}, {"role": "assistant", "content": 2}]}
    run = laboratory.train(QUICK, rows=[*SUMS[:5], broken, *SUMS])
    failure = run.result.failure
    assert failure is not None
    assert failure.reason == "bad_data_row"
    assert failure.message.startswith("row 6 of data set sums@1 cannot be used")
    assert run.told("log")[-1]["rows"] == [6]
