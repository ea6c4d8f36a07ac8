"""Arguments and job files become fields of the right type."""

from pathlib import Path

import pytest

from imts.cli.fields import read_fields
from imts.client.errors import ClientError
from shared.contracts.training import TrainingSpec


def read(*arguments: str, file: Path | None = None) -> dict[str, object]:
    return read_fields(TrainingSpec, arguments, file)


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("maxSteps=3", "maxSteps", 3),
        ("max_steps=3", "maxSteps", 3),
        ("learningRate=1e-4", "learningRate", 1e-4),
        ("epochs=3", "epochs", 3),
        ("maxSteps=null", "maxSteps", None),
        ("dataset=123", "dataset", "123"),
        ("dataset=no", "dataset", "no"),
        ("dataset=1e5", "dataset", "1e5"),
        ("modelName=true", "modelName", "true"),
        ("stage=sft", "stage", "sft"),
        ("learningRate=NaN", "learningRate", "NaN"),
        ("batchSize=four", "batchSize", "four"),
        ("unheardOf=7", "unheardOf", 7),
        ("dataset=a=b", "dataset", "a=b"),
    ],
)
def test_an_argument_has_the_type_its_field_takes(text: str, field: str, value: object) -> None:
    assert read(text) == {field: value}


def test_an_argument_wins_over_the_file_in_either_case(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("learning_rate: 1e-4\nepochs: 2.0\ndataset: 20\n")
    assert read("learningRate=0.1", file=file) == {"learningRate": 0.1, "epochs": 2.0, "dataset": 20}


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "- a\n",
        "just text",
        "a: [1]\n",
        "1: 2\n",
        "a: !!python/object/apply:os.getcwd []\n",
        "a: {\n",
        BOMB,
        "\udcff",
    ],
)
def test_a_file_that_is_no_flat_mapping_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(ClientError):
        read(file=file)


def test_a_file_too_large_for_a_job_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("a: " + "x" * 300_000)
    with pytest.raises(ClientError, match="larger"):
        read(file=file)


@pytest.mark.parametrize("arguments", [[], ["epochs"], ["=3"]])
def test_arguments_that_say_nothing_are_refused(arguments: list[str]) -> None:
    with pytest.raises(ClientError):
        read(*arguments)
