"""From a .zip of images to an adapter that tells them apart: the whole mesh, the real LLaMA-Factory."""

import math
from pathlib import Path

import pytest

from tests.mesh import running_mesh
from tests.stories import events, losses, submit, wait_for
from tests.unit.datasets.pictures import asked, lines, packed, picture

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
COLOURS = {"1": "red", "2": "blue"}
BLIND_LOSS = math.log(2) / 3
"""Of an answer of three tokens, by a model that knows all but which of two colours it is shown."""


def test_a_zip_of_images_becomes_an_adapter_that_tells_them_apart(tmp_path: Path) -> None:
    pictures = [(f"images/{answer}.png", picture(colour, (40, 40))) for answer, colour in COLOURS.items()]
    rows = lines(*(asked("<image>1/2?", answer, images=[f"images/{answer}.png"]) for answer in [*COLOURS] * 8))
    (tmp_path / "colours.zip").write_bytes(packed(("data.jsonl", rows), *pictures))
    with running_mesh(tmp_path / "data") as mesh:
        mesh.cli("datasets", "add", str(tmp_path / "colours.zip"))
        mesh.cli("models", "make-tiny", "seer", "--from", "colours", "--takes-images", "--pretrain-steps", "100")
        job_id = submit(mesh, modelName="seer", dataset="colours", learningRate=0.01, maxSteps=30)
        assert wait_for(mesh, job_id)["status"] == "succeeded"
        curve = losses(events(mesh, job_id))
        assert sum(curve[step] for step in range(26, 31)) / 5 < BLIND_LOSS / 2
        assert mesh.api.get("/api/models/seer-sft-lora").json()["takesImages"] is True
