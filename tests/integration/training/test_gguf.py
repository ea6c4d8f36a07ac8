"""Models leave as GGUF files that hold what they say, and answer as the models do."""

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

from shared.contracts.work import Failure, JobKind, ModelInput
from tests.integration.training.families import FAMILIES, of_family
from tests.integration.training.laboratory import Laboratory, Run

TOLERANCE = {"f32": 1e-3, "f16": 0.02, "bf16": 0.15, "q8_0": 0.4}
"""Of logits that reach from about -30 to 30."""


def export(laboratory: Laboratory, model: ModelInput, **options: Any) -> Run:
    spec = {"operation": "gguf", "modelName": model.name, **options}
    return laboratory.train(spec, kind=JobKind.EXPORT, base=model)


def file_of(laboratory: Laboratory, run: Run) -> Path:
    assert run.result.failure is None, run.result.failure
    folder = laboratory.store.materialise(run.result.artifacts[0].sha256)
    (path,) = folder.glob("*.gguf")
    return path


def refusal(run: Run) -> Failure:
    failure = run.result.failure
    assert failure is not None
    assert (failure.failure_class, failure.reason) == ("user", "option_unsupported")
    return failure


def logits(folder: Path, path: Path | None = None) -> torch.Tensor:
    """Of the model in `folder`, or with its config of the GGUF file at `path`, which transformers reads by itself."""
    config = AutoConfig.from_pretrained(folder)
    if path is not None and config.model_type == "mistral":
        config = LlamaConfig.from_dict({**config.to_dict(), "model_type": "llama"})
    source, options = (folder, {}) if path is None else (path.parent, {"gguf_file": path.name, "config": config})
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **options).eval()
    with torch.no_grad():
        found: torch.Tensor = model(torch.arange(3, 67).reshape(2, 32)).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_of_each_family_answers_as_its_model(laboratory: Laboratory, family: str) -> None:
    model = laboratory.variant(of_family(family))
    path = file_of(laboratory, export(laboratory, model, quantization="f32"))
    folder = laboratory.store.materialise(model.base)
    wanted = logits(folder)
    assert wanted.std() > 0.5
    torch.testing.assert_close(logits(folder, path), wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("quantization", TOLERANCE)
def test_a_file_holds_the_type_that_was_asked_for(laboratory: Laboratory, quantization: str) -> None:
    model = laboratory.variant(of_family("qwen3"))
    run = export(laboratory, model, quantization=quantization.upper(), outputName="mine")
    path = file_of(laboratory, run)
    matrices = [tensor for tensor in gguf.GGUFReader(path).tensors if len(tensor.shape) == 2]
    assert {tensor.tensor_type.name for tensor in matrices} == {quantization.upper()}
    assert run.result.result["file"] == {
        "name": "mine.gguf",
        "quantization": quantization,
        "types": {quantization.upper(): len(matrices)},
    }
    folder = laboratory.store.materialise(model.base)
    assert (logits(folder, path) - logits(folder)).abs().max() < TOLERANCE[quantization]


def test_a_file_carries_tokenizer_and_chat_template(laboratory: Laboratory) -> None:
    path = file_of(laboratory, export(laboratory, laboratory.base(), quantization="f16"))
    folder = laboratory.store.materialise(laboratory.base().base)
    fields = gguf.GGUFReader(path).fields
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    by_number = {number: text for text, number in tokenizer["model"]["vocab"].items()}
    told = fields["tokenizer.ggml.tokens"].contents()
    assert told == [by_number[number] for number in range(len(told))]
    assert fields["tokenizer.chat_template"].contents() == (folder / "chat_template.jinja").read_text()
    assert fields["tokenizer.ggml.merges"].contents()[:2] == [
        " ".join(pair) for pair in tokenizer["model"]["merges"][:2]
    ]
    assert told[fields["tokenizer.ggml.eos_token_id"].contents()] == "<|im_end|>"
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False


def test_an_adapter_is_merged_before_it_leaves(laboratory: Laboratory, whole: Run) -> None:
    tuned = laboratory.base().model_copy(update={"name": "tuned", "adapter": whole.result.artifacts[0].sha256})
    alone = file_of(laboratory, export(laboratory, laboratory.base(), quantization="f32"))
    both = file_of(laboratory, export(laboratory, tuned, quantization="f32"))
    assert both.name == "tuned-f32.gguf"
    folder = laboratory.store.materialise(laboratory.base().base)
    assert (logits(folder, both) - logits(folder, alone)).abs().max() > 0.01


def test_a_family_without_a_converter_is_refused_by_name(laboratory: Laboratory) -> None:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        config |= {"model_type": "gpt_neox", "architectures": ["GPTNeoXForCausalLM"]}
        (folder / "config.json").write_text(json.dumps(config))

    message = refusal(export(laboratory, laboratory.variant(change))).message
    assert message == "models of family gpt_neox cannot be written as GGUF; llama, mistral, qwen2, qwen3 can"


def test_rows_that_do_not_fit_are_refused_with_their_name_or_taken_and_told(laboratory: Laboratory) -> None:
    model = laboratory.variant(of_family("llama", hidden_size=48, num_attention_heads=4, num_key_value_heads=4))
    message = refusal(export(laboratory, model, quantization="q8_0")).message
    assert "needs rows of a multiple of 32 numbers, and 14 of 16 matrices have others" in message
    assert "allowFallback" in message
    run = export(laboratory, model, quantization="q8_0", allowFallback=True)
    file_of(laboratory, run)
    told = run.told("log")[-1]["message"]
    assert told == "not every matrix could be stored as q8_0: 14 F16 of 16 took their place"


def test_a_tokenizer_that_llama_cpp_reads_otherwise_is_refused(laboratory: Laboratory) -> None:
    def change(folder: Path) -> None:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        split = {"type": "Split", "pattern": {"Regex": "[aeiou]+"}, "behavior": "Isolated", "invert": False}
        tokenizer["pre_tokenizer"]["pretokenizers"].insert(0, split)
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer))

    message = refusal(export(laboratory, laboratory.variant(change))).message
    assert message.startswith("the tokenizer cannot be put into a GGUF file: llama.cpp cuts texts into words")
