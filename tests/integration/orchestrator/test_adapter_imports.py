"""Adapters made elsewhere go in beside a base that they fit; what else their folders say or hold does not."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.orchestrator.registry import Registry, problem_of, running_registry
from tests.model_folders import GOOD, Files, weights

LAYER = "model.layers.0.mlp.up_proj"
BASE: Files = {
    **GOOD,
    "model.safetensors": weights(
        {f"{LAYER}.weight": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}, bytes(24)
    ),
}


def adapter_weights(rank: int = 1, wide: int = 2, high: int = 3, layer: str = LAYER, **more: list[int]) -> bytes:
    """A LoRA of one layer."""
    shapes = {"lora_A.weight": [rank, wide], "lora_B.weight": [high, rank], **more}
    header, end = {}, 0
    for part, shape in shapes.items():
        size = 4 * shape[0] * shape[1]
        header[f"base_model.model.{layer}.{part}"] = {
            "dtype": "F32", "shape": shape, "data_offsets": [end, end + size]
        }  # fmt: skip
        end += size
    return weights(header, bytes(end))


def config(**more: Any) -> bytes:
    said = {"peft_type": "LORA", "r": 1, "lora_alpha": 2, "target_modules": ["up_proj"], "lora_dropout": 0.0}
    empty: dict[str, Any] = {
        "megatron_config": None,
        "loftq_config": {},
        "megatron_core": "megatron.core",
        "qalora_group_size": 16,
    }
    return json.dumps({**said, **empty, "base_model_name_or_path": "/home/me/models/base", **more}).encode()


ADAPTER: Files = {"adapter_config.json": config(), "adapter_model.safetensors": adapter_weights()}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """With a base; shared by the module, as the database has no part in what is refused."""
    with running_registry("", tmp_path_factory.mktemp("orchestrator")) as running:
        assert send(running, BASE, name="base", template="llama3").status_code == 201
        yield running


def send(registry: Registry, files: Files, *, key: str = "", **fields: str) -> httpx.Response:
    parts = [("files", (filename, content)) for filename, content in files.items()]
    headers = {"idempotency-key": key} if key else {}
    return registry.user.post("/api/models", files=parts, data=fields, headers=headers)


def test_an_adapter_becomes_a_version_upon_its_base(registry: Registry) -> None:
    answer = send(registry, ADAPTER, name="tuned", base="base", key="once")
    assert answer.status_code == 201, answer.text
    base, view = registry.user.get("/api/models/base").json(), answer.json()
    assert (view["base"], view["baseModel"], view["template"]) == (base["base"], "base@1", "llama3")
    assert (view["parameters"], view["purpose"]) == (base["parameters"], "chat")
    stored = registry.wiring.store.materialise(view["adapter"])
    told = json.loads((stored / "adapter_config.json").read_text())
    assert (told["base_model_name_or_path"], told["target_modules"]) == ("base", ["up_proj"])
    assert "megatron_core" not in told
    assert send(registry, ADAPTER, name="tuned", base="base").json() == view
    assert send(registry, ADAPTER, name="tuned", base="base", key="once").headers["idempotency-replayed"] == "true"
    judge = {**ADAPTER, "value_head.safetensors": weights()}
    assert send(registry, judge, name="judge", base="base@1").json()["purpose"] == "reward"


REFUSED: list[tuple[Files, str]] = [
    ({"optimizer.pt": b""}, "fresh optimizer"),
    ({"scheduler.pt": b""}, "trainer's state"),
    ({"rng_state.pth": b""}, "never pickles"),
    ({"training_args.bin": b""}, "never pickles"),
    ({"adapter_model.bin": b""}, "never pickles"),
    ({"trainer_state.json": b"{}"}, "trainer's state"),
    ({"tokenizer.json": b"{}"}, "from its base"),
    ({"config.json": b'{"model_type": "llama"}'}, "from its base"),
    ({"adapter_config.json": b"[]"}, "not a JSON object"),
    ({"adapter_config.json": b"{}"}, "has no peft_type"),
    ({"adapter_config.json": config(peft_type="LOHA")}, "value in peft_type"),
    ({"adapter_config.json": config(r=True)}, "value in r"),
    ({"adapter_config.json": config(target_modules="(a+)+$")}, "value in target_modules"),
    ({"adapter_config.json": config(target_modules=["../up"])}, "value in target_modules"),
    ({"adapter_config.json": config(rank_pattern={"(a+)+$": 4})}, "value in rank_pattern"),
    ({"adapter_config.json": config(megatron_config={"a": 1}, megatron_core="os")}, "sets megatron_config"),
    ({"adapter_config.json": config(layer_replication=[[0, 9]])}, "sets layer_replication"),
    ({"adapter_config.json": config(init_lora_weights="pissa_niter_16")}, "plain LoRA"),
    ({"adapter_model.safetensors": b"\x80\x02}q\x00."}, "not a safetensors file"),
    ({"adapter_model.safetensors": adapter_weights()[:-1]}, "shorter or longer"),
    ({"adapter_model.safetensors": weights()}, "no part of a LoRA adapter"),
    ({"adapter_model.safetensors": adapter_weights(layer="model.layers.9.up_proj")}, "adapter of another base"),
    ({"adapter_model.safetensors": adapter_weights(wide=5)}, "other widths than the base's"),
    ({"adapter_model.safetensors": adapter_weights(rank=2)}, "not of the rank"),
    ({"adapter_model.safetensors": adapter_weights(weight=[9, 9])}, "another shape"),
    ({"value_head.safetensors": b"x"}, "not a safetensors file"),
]


@pytest.mark.parametrize(("files", "why"), REFUSED, ids=[f"{n}-{why}" for n, (_, why) in enumerate(REFUSED)])
def test_an_adapter_with_more_than_sound_weights_is_refused(registry: Registry, files: Files, why: str) -> None:
    problem = problem_of(send(registry, {**ADAPTER, **files}, name="refused", base="base"), 422)
    assert why in problem["message"]
    assert (problem["param"], problem["code"]) == ("files", "invalid_model")
    assert registry.user.get("/api/models/refused").status_code == 404
    assert registry.leftovers() == []


def test_a_base_must_be_there_and_be_one(registry: Registry) -> None:
    assert "say the version it goes on" in problem_of(send(registry, ADAPTER, name="refused"), 422)["message"]
    assert problem_of(send(registry, ADAPTER, name="refused", base="nothing"), 404)["param"] == "base"
    assert problem_of(send(registry, ADAPTER, name="refused", base="../x"), 422)["param"] == "base"
    assert "is missing" in problem_of(send(registry, BASE, name="refused", base="base"), 422)["message"]
    assert send(registry, ADAPTER, name="lower", base="base").status_code == 201
    problem = problem_of(send(registry, ADAPTER, name="refused", base="lower"), 422)
    assert (problem["code"], problem["param"]) == ("base_is_an_adapter", "base")
