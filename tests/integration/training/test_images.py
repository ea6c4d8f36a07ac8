"""Models that take images learn from what is on them, and go on after an interruption as if nothing had happened."""

import hashlib
import io
import math
import signal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.numpy import load_file

from shared.contracts.failures import Reason
from shared.contracts.work import Control, JobKind, Outcome
from tests.integration.training.laboratory import QUICK, Event, Laboratory, Run

COLOURS = {"1": (220, 20, 30), "2": (20, 40, 210)}
QUESTION = "<image>1/2?"
SEEN = {
    **QUICK, "modelName": "seer", "dataset": "colours", "cutoffLen": 128, "maxSteps": 30, "saveSteps": 10,
    "validationDataset": "other-shades", "evalSteps": 30,
}  # fmt: skip
BLIND_LOSS = math.log(2) / 3
"""Of an answer of three tokens, by a model that knows all but which of two colours it is shown."""


def _picture(answer: str, shade: int) -> bytes:
    """Of a colour, each shade a little brighter and wider."""
    red, green, blue = COLOURS[answer]
    stream = io.BytesIO()
    Image.new("RGB", (40 + 8 * (shade % 3), 40), (red + shade, green + shade, blue + shade)).save(stream, "PNG")
    return stream.getvalue()


def _row(answer: str, shade: int, question: str = QUESTION) -> Event:
    image = hashlib.sha256(_picture(answer, shade)).hexdigest()
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "images": [image]}


LEARNT = [_row(answer, shade) for shade in range(12) for answer in COLOURS]
HELD_OUT = [_row(answer, shade) for shade in range(20, 24) for answer in COLOURS]
IMAGES = [_picture(answer, shade) for answer in COLOURS for shade in range(24)]


def begin(laboratory: Laboratory, rows: list[Event] = LEARNT, **more: Any) -> Run:
    spec = {**SEEN, **more.pop("spec", {})}
    given = {"base": laboratory.seer(LEARNT), "validation": HELD_OUT, "images": IMAGES, **more}
    return laboratory.begin(spec, rows=rows, **given)


def refusal(laboratory: Laboratory, **more: Any) -> tuple[str, str]:
    failure = laboratory.finish(begin(laboratory, **more)).result.failure
    assert failure is not None
    return failure.reason, failure.message


def published(laboratory: Laboratory, run: Run) -> Path:
    return laboratory.store.materialise(run.result.artifacts[0].sha256)


@pytest.fixture(scope="module")
def sighted(laboratory: Laboratory) -> Run:
    return laboratory.finish(begin(laboratory))


def test_a_model_answers_by_what_it_is_shown_also_for_images_it_never_saw(sighted: Run) -> None:
    figures: Any = sighted.result.result["metrics"]
    losses = sighted.losses()
    assert losses[30] < 0.05 < losses[1]
    assert figures["val_loss"] < BLIND_LOSS / 2
    made: Any = sighted.result.result["model"]
    assert (made["takes_images"], made["template"]) == (True, "qwen2_vl")


def test_a_run_on_images_goes_on_bit_for_bit(laboratory: Laboratory, sighted: Run) -> None:
    first = begin(laboratory)
    laboratory.signal(first, signal.SIGTERM, after_step=12, control=Control.PAUSE)
    assert first.result.outcome is Outcome.PAUSED
    second = laboratory.finish(begin(laboratory, after=first))
    assert min(second.losses()) > 12
    assert {**first.losses(), **second.losses()} == sighted.losses()
    assert second.result.artifacts[0].sha256 == sighted.result.artifacts[0].sha256


def test_a_merge_keeps_what_prepares_images(laboratory: Laboratory, sighted: Run) -> None:
    adapter = published(laboratory, sighted)
    assert sorted(path.name for path in adapter.iterdir()) == [
        "README.md", "adapter_config.json", "adapter_model.safetensors",
    ]  # fmt: skip
    base = laboratory.seer(LEARNT)
    told = base.model_copy(update={"adapter": sighted.result.artifacts[0].sha256})
    spec = {"operation": "merge", "modelName": "seer", "outputName": "merged"}
    run = laboratory.finish(laboratory.begin(spec, kind=JobKind.EXPORT, base=told))
    made: Any = run.result.result["model"]
    assert made["takes_images"] is True
    folder = published(laboratory, run)
    assert {"processor_config.json", "tokenizer.json", "config.json"} <= {path.name for path in folder.iterdir()}
    before = load_file(laboratory.store.materialise(base.base) / "model.safetensors")
    after, learnt = load_file(folder / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    assert before.keys() == after.keys()
    pairs = {name.removesuffix(".lora_A.weight") for name in learnt if name.endswith(".lora_A.weight")}
    assert pairs
    assert all(".language_model." in name for name in pairs), "the vision tower is frozen"
    changed = sum(bool((after[name] != weight).any()) for name, weight in before.items())
    assert changed == len(pairs)
    merged = laboratory.finish(
        begin(laboratory, base=base.model_copy(update={"base": made["base"]}), spec={"maxSteps": 1})
    )
    assert merged.losses()[1] < 0.5, "what was learnt is in the merged weights"


@pytest.mark.parametrize("is_frozen", [True, False])
def test_full_tuning_changes_eyes_and_projector_when_asked_to(laboratory: Laboratory, is_frozen: bool) -> None:
    spec = {"finetuningType": "full", "maxSteps": 2, "imageMaxPixels": 1024, "learningRate": 1e-3}
    if not is_frozen:
        spec |= {"freezeVisionTower": False, "freezeMultiModalProjector": False}
    run = laboratory.finish(begin(laboratory, spec=spec))
    folder = published(laboratory, run)
    assert (folder / "processor_config.json").is_file()
    before = load_file(laboratory.store.materialise(laboratory.seer(LEARNT).base) / "model.safetensors")
    after = load_file(folder / "model.safetensors")
    changed = {name for name, weight in before.items() if (after[name] != weight).any()}
    assert any(name.startswith("model.layers.") for name in changed)
    assert any("visual.merger" in name for name in changed) is not is_frozen
    assert any("visual.blocks" in name for name in changed) is not is_frozen


def test_a_model_without_eyes_or_a_template_without_a_place_for_images_is_refused(laboratory: Laboratory) -> None:
    reason, message = refusal(laboratory, base=laboratory.base())
    assert reason == Reason.OPTION_UNSUPPORTED
    assert "data set sums@1 has images and model tiny takes none" in message
    reason, message = refusal(laboratory, base=laboratory.seer(LEARNT).model_copy(update={"template": "chatml"}))
    assert reason == Reason.UNKNOWN_TEMPLATE
    assert "such as qwen2_vl" in message


def test_rows_whose_images_are_cut_are_refused_before_the_first_step(laboratory: Laboratory) -> None:
    reason, message = refusal(laboratory, spec={"cutoffLen": 24})
    assert reason == Reason.CUTOFF_TOO_SHORT
    assert "24 of 24 rows are cut in the middle of their images by cutoffLen 24" in message


def test_texts_that_only_look_like_images_are_left_out(laboratory: Laboratory) -> None:
    forged = _row("1", 0, f"{QUESTION} <|image_pad|>")
    text = {"messages": [{"role": "user", "content": "What is <video>?"}, {"role": "assistant", "content": "1"}]}
    plain = {"messages": [{"role": "user", "content": "What is 1?"}, {"role": "assistant", "content": "1"}]}
    rows = [*LEARNT[:3], plain, forged, text]
    run = laboratory.finish(begin(laboratory, rows=rows, spec={"maxSteps": 1, "batchSize": 4}))
    assert run.result.outcome is Outcome.SUCCEEDED
    warned = next(told for told in run.told("log") if told.get("rows"))
    assert warned["rows"] == [5, 6], "what was left out; a text without images is learnt beside those with some"


def test_a_row_that_names_an_image_of_elsewhere_is_refused(laboratory: Laboratory) -> None:
    stray = {**LEARNT[0], "images": ["../../../etc/passwd"]}
    reason, message = refusal(laboratory, rows=[LEARNT[0], stray])
    assert reason == Reason.BAD_DATA_ROW
    assert message.startswith("row 2 of data set sums@1")
