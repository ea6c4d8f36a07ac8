"""Merging puts an adapter into its base's weights, and says the same as both together."""

from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from shared.contracts.work import JobKind, ModelInput
from tests.integration.training.laboratory import QUICK, Laboratory, Run

METHODS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora and dora": {"useRslora": True, "useDora": True},
    "oft": {"finetuningType": "oft", "oftBlockSize": 8},
}


def tuned(laboratory: Laboratory, method: str) -> ModelInput:
    run = laboratory.train({**QUICK, **METHODS[method]})
    return laboratory.base().model_copy(update={"name": "tuned", "adapter": run.result.artifacts[0].sha256})


def merge(laboratory: Laboratory, model: ModelInput, **options: Any) -> Run:
    spec = {"operation": "merge", "modelName": model.name, "outputName": "plain", **options}
    return laboratory.train(spec, kind=JobKind.EXPORT, base=model)


def logits(model: Any) -> torch.Tensor:
    tokens = torch.arange(3, 35).reshape(2, 16)
    with torch.no_grad():
        found: torch.Tensor = model.eval()(tokens).logits
    return found


@pytest.mark.parametrize("method", METHODS)
def test_a_merged_model_answers_as_base_and_adapter_do(laboratory: Laboratory, method: str) -> None:
    model = tuned(laboratory, method)
    run = merge(laboratory, model)
    made = run.result.result["model"]
    assert isinstance(made, dict), run.result
    assert (made["name"], made["adapter"], made["template"]) == ("plain", None, model.template)
    store = laboratory.store
    base = AutoModelForCausalLM.from_pretrained(store.materialise(model.base))
    plain = AutoModelForCausalLM.from_pretrained(store.materialise(str(made["base"])))
    before = logits(base)
    both = logits(PeftModel.from_pretrained(base, store.materialise(str(model.adapter))))
    assert made["parameters"] == plain.num_parameters()
    assert (both - before).abs().max() > 0.01
    torch.testing.assert_close(logits(plain), both, atol=1e-4, rtol=1e-4)


def test_a_merged_model_is_whole_and_cut_into_shards_of_the_asked_size(laboratory: Laboratory) -> None:
    run = merge(laboratory, tuned(laboratory, "lora"), maxShardGb=0.0002)
    (artifact,) = run.result.artifacts
    files = {item.path: item.size for item in laboratory.store.tree(artifact.sha256)}
    shards = {path: size for path, size in files.items() if path.endswith(".safetensors")}
    assert len(shards) > 1
    assert all(size < 210_000 for size in shards.values())
    assert {"config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors.index.json"} <= files.keys()


def test_a_merged_model_can_be_trained_on(laboratory: Laboratory) -> None:
    made = merge(laboratory, tuned(laboratory, "lora")).result.result["model"]
    assert isinstance(made, dict)
    plain = laboratory.base().model_copy(update={"name": "plain", "base": str(made["base"])})
    run = laboratory.train({**QUICK, "maxSteps": 2}, base=plain)
    assert run.result.failure is None


def test_a_model_without_an_adapter_has_nothing_to_merge(laboratory: Laboratory) -> None:
    failure = merge(laboratory, laboratory.base()).result.failure
    assert failure is not None
    assert (failure.reason, failure.message) == ("option_unsupported", "model tiny has no adapter to merge")
