"""What a request asks for, before anything is looked up."""

import pytest
from pydantic import ValidationError

from orchestrator.domain.idempotency import request_hash
from orchestrator.domain.submission import (
    Named,
    analysis_submission,
    evaluation_submission,
    make_tiny_submission,
    require_format,
    training_submission,
)
from shared.contracts.analysis import AnalysisSpec
from shared.contracts.datasets import DatasetFormat
from shared.contracts.evaluation import EvaluationSpec
from shared.contracts.mixing import MixPart
from shared.contracts.models import MakeTinySpec
from shared.contracts.training import Stage, TrainingSpec
from shared.contracts.work import JobKind
from shared.kit.errors import InvalidRequest


def test_a_training_job_names_its_output_when_the_user_did_not() -> None:
    spec = TrainingSpec(model_name="base@3", dataset="facts", validation_dataset="held-out", eval_steps=5)
    submission = training_submission(spec)
    assert submission.spec["outputName"] == "base-sft-lora"
    assert submission.datasets == {
        "train": Named("facts", "dataset"), "validation": Named("held-out", "validationDataset"),
    }  # fmt: skip
    assert submission.models == {"base": Named("base@3", "modelName")}


def test_the_data_sets_of_a_mix_are_looked_up_by_the_fields_that_name_them() -> None:
    parts = [MixPart(name="facts@2", weight=2), MixPart(name="chat", weight=0.5)]
    submission = training_submission(TrainingSpec(model_name="base", datasets=parts, validation_split=0.1))
    assert submission.datasets == {
        "train_1": Named("facts@2", "datasets.0.name"), "train_2": Named("chat", "datasets.1.name"),
    }  # fmt: skip
    with pytest.raises(InvalidRequest) as refusal:
        require_format(submission, submission.datasets["train_2"], DatasetFormat.TEXT)
    assert refusal.value.param == "datasets.1.name"


def test_a_long_name_leaves_room_for_its_suffix() -> None:
    submission = training_submission(TrainingSpec(model_name="m" * 96, dataset="facts"))
    assert submission.spec["outputName"] == "m" * 87 + "-sft-lora"


def test_absent_fields_are_not_stored() -> None:
    assert "maxSteps" not in training_submission(TrainingSpec(model_name="base", dataset="facts")).spec


def test_roles_of_the_other_kinds() -> None:
    analysis = analysis_submission(AnalysisSpec(dataset="facts", test_dataset="test"))
    evaluation = evaluation_submission(EvaluationSpec(dataset="facts", model_name="tuned", baseline_model="base"))
    tiny = make_tiny_submission(MakeTinySpec(name="tiny", from_dataset="facts"))
    assert (set(analysis.datasets), set(analysis.models)) == ({"train", "test"}, set())
    assert (set(evaluation.datasets), set(evaluation.models)) == ({"test"}, {"model", "baseline"})
    assert (tiny.kind, tiny.spec["operation"], set(tiny.datasets)) == (JobKind.EXPORT, "make_tiny", {"train"})


@pytest.mark.parametrize(
    ("stage", "form", "fits"),
    [
        (Stage.SFT, DatasetFormat.ALPACA, True),
        (Stage.SFT, DatasetFormat.TEXT, False),
        (Stage.SFT, DatasetFormat.KTO, False),
        (Stage.PT, DatasetFormat.TEXT, True),
        (Stage.PT, DatasetFormat.MESSAGES, True),
        (Stage.PT, DatasetFormat.PREFERENCE, False),
    ],
)
def test_a_stage_takes_only_what_it_can_learn_from(stage: Stage, form: DatasetFormat, fits: bool) -> None:
    submission = training_submission(TrainingSpec(model_name="base", dataset="facts", stage=stage))
    if fits:
        require_format(submission, submission.datasets["train"], form)
        return
    with pytest.raises(InvalidRequest) as refusal:
        require_format(submission, submission.datasets["train"], form)
    assert (refusal.value.code, refusal.value.param) == ("dataset_format_mismatch", "dataset")


@pytest.mark.parametrize("share", [0.5, 1.25])
def test_a_share_of_a_gpu_is_refused_in_words(share: float) -> None:
    with pytest.raises(ValidationError, match="ask for whole GPUs"):
        TrainingSpec.model_validate({"modelName": "base", "dataset": "facts", "gpus": share})


def test_the_order_of_fields_does_not_make_another_request() -> None:
    assert request_hash("training", "p", {"a": 1, "b": 2}) == request_hash("training", "p", {"b": 2, "a": 1})
    assert request_hash("training", "p", {"a": 1}) != request_hash("training", "q", {"a": 1})
