"""A model card says where a model is from, the same way every time, and takes nobody's words for markup."""

from typing import Any

import pytest
import yaml

from services.training.model_card import Card, Step, license_of
from shared.contracts.base import JsonObject
from shared.contracts.work import DatasetInput, Measured

SUMS = DatasetInput(dataset_id="ds-1", name="sums", version=2, format="messages", rows=64, sha256="a" * 64)
TRAINED = Step(
    "training", "tuned@1", "tiny@1",
    {"stage": "sft", "finetuningType": "lora", "learningRate": 0.01, "modelName": "tiny", "saveSteps": 5},
    {"train": SUMS}, {"train_loss": 0.123456, "tokens_per_second": 5123.0},
)  # fmt: skip
MERGED = Step("merge", "plain", "tuned@1", {"operation": "merge", "maxShardGb": 5.0})
MADE = Step("make_tiny", "tiny@1", None, {"hiddenSize": 64})


def front_of(text: str) -> dict[str, Any]:
    found = yaml.safe_load(text.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def test_a_card_tells_lineage_data_parameters_figures_and_licence() -> None:
    text = Card("plain", "transformers", [MERGED, TRAINED, MADE], license={"license": "apache-2.0"}).markdown()
    assert front_of(text) == {
        "license": "apache-2.0",
        "library_name": "transformers",
        "base_model": "tuned@1",
        "datasets": ["sums"],
        "tags": ["imts", "lora", "sft"],
    }
    for row in (
        "| plain | merge | tuned@1 |", "| tuned@1 | training | tiny@1 |", "| tiny@1 | make_tiny | – |",
        "| tuned@1 | train | sums@2 | messages | 64 | aaaaaaaaaaaa |",
        "| learningRate | 0.01 |", "| train_loss | 0.1235 |", "| license | apache-2.0 |",
    ):  # fmt: skip
        assert row in text.splitlines()


def test_what_leaves_no_trace_in_the_weights_is_left_out() -> None:
    text = Card("tuned", "peft", [TRAINED]).markdown()
    assert "saveSteps" not in text
    assert "tokens_per_second" not in text
    assert "| license | not stated by base or exporter |" in text


def test_settings_that_did_nothing_are_left_out() -> None:
    idle: JsonObject = {"useDora": False, "ktoChosenWeight": 1.0, "oftRank": 0, "datasets": [], "packing": False}
    step = Step("training", "tuned", "tiny@1", {"stage": "sft", "finetuningType": "lora", **idle})
    text = Card(
        "tuned", "peft", [step, Step("merge", "x", None, {"operation": "merge", "quantization": "q8_0"})]
    ).markdown()
    for shown in ("useDora", "packing"):
        assert f"| {shown} |" in text
    for silent in ("ktoChosenWeight", "oftRank", "datasets", "quantization"):
        assert f"| {silent} |" not in text


def test_an_evaluation_stands_beside_its_baseline() -> None:
    found = Measured(
        dataset="test@1", metrics={"exact_match": 0.75}, baseline="tiny@1", baseline_metrics={"exact_match": 0.5}
    )
    text = Card("plain", "transformers", [MERGED], [found]).markdown()
    assert "| test@1 | exact_match | 0.75 | 0.5 | tiny@1 |" in text
    assert "## Evaluation" not in Card("plain", "transformers", [MERGED]).markdown()


def test_a_value_cannot_break_out_of_its_cell() -> None:
    step = Step("training", "tuned", "tiny@1", {"loraTarget": "a|b\n# title <script>"})
    assert "| loraTarget | a\\|b # title &lt;script> |" in Card("tuned", "peft", [step]).markdown()


@pytest.mark.parametrize(
    ("readme", "found"),
    [
        (
            "---\nlicense: mit\nlicense_link: LICENSE\ntags: [x]\n---\n# x\n",
            {"license": "mit", "license_link": "LICENSE"},
        ),
        ("---\r\nlicense: other\r\n---\r\n", {"license": "other"}),
        ("---\nlicense: [mit]\n---\n", {}),
        ("---\n: : [\n---\n", {}),
        ("# no front matter\nlicense: mit\n", {}),
        ("---\n- mit\n---\n", {}),
        ("", {}),
    ],
)
def test_a_licence_is_read_from_the_front_of_a_card(readme: str, found: dict[str, str]) -> None:
    assert license_of(readme) == found


def test_a_card_can_be_read_for_the_next_one() -> None:
    text = Card("plain", "transformers", [MERGED], license={"license": "mit", "license_name": "MIT: a | b"}).markdown()
    assert license_of(text) == {"license": "mit", "license_name": "MIT: a | b"}
