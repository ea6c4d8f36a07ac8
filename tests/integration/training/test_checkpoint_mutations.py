"""No way of damaging a real checkpoint goes unnoticed: the trainer alone resumes from several of them in silence."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from services.training import checkpoints
from services.training.checkpoints import MANIFEST
from tests.integration.training.laboratory import QUICK, Laboratory

MISSING = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors", "trainer_state.json", "config.json",
           "generation_config.json", "training_args.bin")  # fmt: skip
TRUNCATED = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors", "trainer_state.json", "config.json")
FLIPPED = ("model.safetensors", "optimizer.pt", "rng_state.pth")


def _lose(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def _truncate(name: str) -> Callable[[Path], None]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size // 2)


def _flip(name: str) -> Callable[[Path], None]:
    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return flip


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


MUTATIONS = {
    **{f"{name} is missing": _lose(name) for name in MISSING},
    **{f"{name} is cut short": _truncate(name) for name in TRUNCATED},
    **{f"a bit of {name} is flipped": _flip(name) for name in FLIPPED},
    "the folder is empty": _empty,
    "the manifest is missing": _lose(MANIFEST),
}


@pytest.fixture(scope="module")
def written(laboratory: Laboratory) -> Path:
    """The checkpoints of steps 1 and 2 of a real training of all weights."""
    spec = {**QUICK, "finetuningType": "full", "maxSteps": 2, "saveSteps": 1}
    return laboratory.train(spec).checkpoints


def test_there_are_nineteen() -> None:
    assert len(MUTATIONS) == 19


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_a_damaged_checkpoint_is_never_taken(written: Path, tmp_path: Path, mutation: str) -> None:
    output = tmp_path / "checkpoints"
    for step in (1, 2):
        shutil.copytree(written / f"checkpoint-{step}", output / f"checkpoint-{step}")
    MUTATIONS[mutation](output / "checkpoint-2")
    found, refused = checkpoints.newest_good(output, tmp_path / "set_aside")
    assert found is not None
    assert found.step == 1
    assert [item.step for item in refused] == [2]
    assert not (output / "checkpoint-2").exists()


def test_every_byte_of_every_file_is_watched(written: Path, tmp_path: Path) -> None:
    whole = written / "checkpoint-2"
    for file in sorted(path for path in whole.iterdir() if path.name != MANIFEST):
        folder = tmp_path / file.name
        shutil.copytree(whole, folder)
        assert checkpoints.fault_of(folder, 2) is None
        _flip(file.name)(folder)
        assert checkpoints.fault_of(folder, 2) == f"{file.name} is damaged"
