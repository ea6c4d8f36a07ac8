"""Stage ppo: a model learns from the answers that it writes itself and that a reward model of stage rm rates."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from safetensors.torch import load_file

from shared.contracts.commands import Action
from shared.contracts.work import Control, ModelInput, Outcome
from tests.integration.training.laboratory import QUICK, SUMS, Laboratory, Run
from tests.integration.training.test_objectives import PREFERENCES, adapted, model_of, succeeded
from tests.waiting import eventually

PPO = {
    "modelName": "tiny", "dataset": "sums", "rewardModel": "judge", "stage": "ppo", "batchSize": 16, "maxSteps": 3,
    "learningRate": 0.01, "loggingSteps": 1, "cutoffLen": 64, "loraRank": 4, "maxNewTokens": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def ring(laboratory: Laboratory) -> Iterator[Laboratory]:
    """The engine of this stage, on the same store."""
    found = Laboratory(laboratory.folder, module="services.training.ppo.engine")
    yield found
    found.close()


@pytest.fixture(scope="module")
def judge(laboratory: Laboratory) -> ModelInput:
    """A reward model that wants 7 for an answer, and no 3."""
    spec = {**QUICK, "stage": "rm", "maxSteps": 40}
    return adapted(laboratory, succeeded(laboratory.train(spec, rows=PREFERENCES)))


def figures(run: Run, name: str) -> list[float]:
    return [data[name] for data in run.told("metrics_update")]


def test_what_it_writes_is_rewarded_more_and_more(laboratory: Laboratory, ring: Laboratory, judge: ModelInput) -> None:
    spec = {**PPO, "finetuningType": "full", "maxSteps": 20}
    run = succeeded(ring.train(spec, base=laboratory.base(), reward=judge))
    rewards = figures(run, "reward")
    assert len(rewards) == 20
    assert sum(rewards[-4:]) / 4 > sum(rewards[:4]) / 4 + 1
    distances = figures(run, "kl")
    assert distances[0] == pytest.approx(0, abs=1e-4)
    assert distances[-1] > 0.5
    assert [data["epoch"] for data in run.told("epoch_completed")] == [1, 2, 3, 4, 5]
    published = laboratory.store.materialise(run.result.artifacts[0].sha256)
    assert not (published / "value_head.safetensors").exists()


def test_a_chain_ends_in_an_ordinary_adapter(
    laboratory: Laboratory, ring: Laboratory, judge: ModelInput, whole: Run
) -> None:
    taught = adapted(laboratory, whole)
    run = succeeded(ring.train(PPO, base=taught, reward=judge))
    # Measured from base and adapter together: from the base alone it would begin elsewhere.
    assert figures(run, "kl")[0] == pytest.approx(0, abs=1e-4)
    made: Any = run.result.result["model"]
    assert (made["purpose"], made["base"]) == ("chat", taught.base)
    before, after = (laboratory.store.materialise(tree) for tree in (whole.result.artifacts[0].sha256, made["adapter"]))
    assert sorted(path.name for path in after.iterdir()) == sorted(path.name for path in before.iterdir())
    weights = load_file(after / "adapter_model.safetensors")
    assert weights.keys() == load_file(before / "adapter_model.safetensors").keys()
    assert any(
        not weight.equal(load_file(before / "adapter_model.safetensors")[name]) for name, weight in weights.items()
    )
    model_of(laboratory, run)
    again = succeeded(laboratory.train({**QUICK, "maxSteps": 1}, base=adapted(laboratory, run)))
    assert again.losses()


def test_the_reward_model_rates_alike_on_the_shared_base_and_on_one_of_its_own(
    laboratory: Laboratory, ring: Laboratory, judge: ModelInput
) -> None:
    shared, apart = (
        succeeded(ring.train({**PPO, "maxSteps": 1, "rewardModelType": kind}, base=laboratory.base(), reward=judge))
        for kind in ("lora", "full")
    )
    assert figures(shared, "reward") == pytest.approx(figures(apart, "reward"), abs=1e-3)


def test_a_stopped_one_ends_at_once_and_another_attempt_begins_again(
    laboratory: Laboratory, ring: Laboratory, judge: ModelInput
) -> None:
    long = {**PPO, "maxSteps": 1000}
    told = ring.begin(long, base=laboratory.base(), reward=judge)
    eventually(lambda: figures(told, "reward"), within_s=60)
    told.tell(Action.CHECKPOINT)
    eventually(lambda: told.told("command_refused"), within_s=60)
    told.ask(Control.STOP)
    os.kill(ring.engine().pid, signal.SIGTERM)
    assert ring.finish(told).result.outcome is Outcome.STOPPED
    assert told.result.artifacts == []
    after = succeeded(ring.train({**PPO, "maxSteps": 1}, after=told, base=laboratory.base(), reward=judge))
    assert after.told("training_rewound") == [{"to_step": 0, "cause": "retry"}]


def test_what_cannot_be_done_is_told_by_name(laboratory: Laboratory, ring: Laboratory, judge: ModelInput) -> None:
    foreign = judge.model_copy(update={"base": "0" * 64})
    run = ring.train({**PPO, "rewardModelType": "lora"}, base=laboratory.base(), reward=foreign)
    assert run.result.failure is not None
    assert run.result.failure.reason == "option_unsupported"
    common = laboratory.train(PPO, base=laboratory.base(), reward=judge)
    assert common.result.failure is not None
    assert "an engine of its own" in common.result.failure.message
    few = ring.train(PPO, rows=SUMS[:8], base=laboratory.base(), reward=judge)
    assert few.result.failure is not None
    assert (few.result.failure.reason, "8 questions" in few.result.failure.message) == ("dataset_too_small", True)
