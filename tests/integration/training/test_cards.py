"""Every model that is published or exported brings its card."""

from datetime import UTC, datetime
from pathlib import Path

from shared.contracts.work import Measured, ModelOrigin
from tests.integration.training.laboratory import QUICK, Laboratory, Run
from tests.integration.training.test_gguf import export
from tests.integration.training.test_merge import merge


def card_of(laboratory: Laboratory, run: Run) -> str:
    assert run.result.failure is None, run.result.failure
    return (laboratory.store.materialise(run.result.artifacts[0].sha256) / "README.md").read_text()


def _license(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny\n")


def test_a_trained_adapter_tells_its_data_parameters_and_figures(laboratory: Laboratory, whole: Run) -> None:
    text = card_of(laboratory, whole)
    assert "| tiny-sft-lora | train | sums@1 | messages | 64 |" in text
    assert "| learningRate | 0.01 |" in text
    assert f"| train_loss | {round(whole.losses()[12], 4)} |" in text


def test_a_licence_goes_from_the_base_through_a_training_to_what_is_exported(laboratory: Laboratory) -> None:
    base = laboratory.variant(_license)
    trained = laboratory.train({**QUICK, "maxSteps": 2}, base=base)
    assert "license: apache-2.0" in card_of(laboratory, trained)
    tuned = base.model_copy(update={"name": "tuned", "adapter": trained.result.artifacts[0].sha256})
    assert "license: apache-2.0" in card_of(laboratory, merge(laboratory, tuned))
    assert "license: mit" in card_of(laboratory, merge(laboratory, tuned, license="mit"))


def test_an_exports_card_has_the_origins_and_evaluations_that_it_was_told(laboratory: Laboratory, whole: Run) -> None:
    origin = ModelOrigin(
        reference="tuned@1", made_at=datetime.now(UTC), made_by="training", base_model="tiny@1",
        spec={"stage": "sft", "epochs": 3.0}, datasets={"train": laboratory.dataset([])}, figures={"train_loss": 0.5},
        evaluations=[Measured(dataset="test@1", metrics={"exact_match": 0.75})],
    )  # fmt: skip
    tuned = laboratory.base().model_copy(
        update={"name": "tuned", "adapter": whole.result.artifacts[0].sha256, "origins": [origin]}
    )
    text = card_of(laboratory, export(laboratory, tuned, quantization="f16"))
    for row in (
        "| tuned-f16 | gguf | tuned@1 |", "| tuned@1 | training | tiny@1 |", "| quantization | f16 |",
        "| epochs | 3.0 |", "| test@1 | exact_match | 0.75 | – | – |",
    ):  # fmt: skip
        assert row in text.splitlines()
    assert "quantization f16: " in text
