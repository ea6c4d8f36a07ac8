"""One stage begins where another ended: on its adapter, or on base and adapter made one."""

import pytest

from shared.contracts.work import JobKind, ModelInput
from tests.integration.training.laboratory import QUICK, Laboratory, Run
from tests.integration.training.test_objectives import PREFERENCES, SHORT, adapted, succeeded

DPO = {**QUICK, "stage": "dpo", "learningRate": 0.02}


def merged(laboratory: Laboratory, model: ModelInput) -> ModelInput:
    """The plain model that an export job makes of base and adapter."""
    spec = {"operation": "merge", "modelName": model.name, "outputName": "plain"}
    made = succeeded(laboratory.finish(laboratory.begin(spec, kind=JobKind.EXPORT, base=model))).result.result["model"]
    assert isinstance(made, dict)
    return model.model_copy(update={"base": made["base"], "adapter": None})


def margins(run: Run) -> list[float]:
    return [data["rewards"]["margins"] for data in run.told("metrics_update")]


def test_dpo_goes_on_with_the_adapter_of_sft_and_rm_with_that_of_dpo(laboratory: Laboratory, whole: Run) -> None:
    preferring = succeeded(laboratory.train(DPO, rows=PREFERENCES, base=adapted(laboratory, whole)))
    assert margins(preferring)[-1] > margins(preferring)[0] == pytest.approx(0, abs=1e-4)
    judging = succeeded(
        laboratory.train({**SHORT, "stage": "rm"}, rows=PREFERENCES, base=adapted(laboratory, preferring))
    )
    files = {path.name for path in laboratory.store.materialise(judging.result.artifacts[0].sha256).iterdir()}
    assert {"adapter_model.safetensors", "value_head.safetensors"} <= files


def test_a_merged_adapter_is_a_base_for_a_new_one(laboratory: Laboratory, whole: Run) -> None:
    stacked = succeeded(laboratory.train(DPO, rows=PREFERENCES, base=adapted(laboratory, whole)))
    plain = merged(laboratory, adapted(laboratory, whole))
    anew = succeeded(laboratory.train({**DPO, "loraRank": 8}, rows=PREFERENCES, base=plain))
    assert anew.losses()[1] == pytest.approx(stacked.losses()[1], abs=1e-4)
    assert margins(anew)[-1] > margins(anew)[0]
    made = anew.result.result["model"]
    assert isinstance(made, dict)
    assert made["base"] == plain.base != laboratory.base().base
