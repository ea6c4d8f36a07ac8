"""A checkpoint is taken only when every file of it is what its manifest says."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from services.training import checkpoints
from services.training.checkpoints import MANIFEST, Checkpoint

FILES = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """A run's folder."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def make(output: Path, step: int, *, is_sealed: bool = True) -> Path:
    folder = output / f"checkpoint-{step}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(f"{name} of {step}")
    if is_sealed:
        checkpoints.seal(folder, step)
    return folder


def newest(output: Path) -> Checkpoint | None:
    return checkpoints.newest_good(output, output.parent / "set_aside")[0]


def test_the_newest_by_number_is_taken(output: Path) -> None:
    make(output, 9)
    folder = make(output, 10)
    assert newest(output) == Checkpoint(folder, 10)


def test_there_may_be_none(output: Path) -> None:
    assert newest(output) is None


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **changes}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no manifest": lambda folder: (folder / MANIFEST).unlink(),
    "is missing": lambda folder: (folder / "optimizer.pt").unlink(),
    "model.safetensors is damaged": lambda folder: (folder / "model.safetensors").write_text("model.safetensors 0f 2"),
    "optimizer.pt is damaged": lambda folder: (folder / "optimizer.pt").write_text(""),
    "no manifest: it was never finished": _empty,
    "its manifest is damaged": lambda folder: (folder / MANIFEST).write_text("{"),
    "another step": lambda folder: _manifest(folder, step=3),
    "incomplete": lambda folder: _manifest(folder, files={}),
}


@pytest.mark.parametrize("fault", DAMAGES)
def test_a_damaged_one_is_set_aside_with_its_fault(output: Path, fault: str) -> None:
    good, bad = make(output, 1), make(output, 2)
    DAMAGES[fault](bad)
    found, refused = checkpoints.newest_good(output, output.parent / "set_aside")
    assert found == Checkpoint(good, 1)
    assert [item.step for item in refused] == [2]
    assert fault in refused[0].fault
    assert not bad.exists()
    assert (output.parent / "set_aside" / "checkpoint-2").is_dir()


def test_one_that_lacks_a_random_state_is_never_whole(output: Path) -> None:
    folder = make(output, 1, is_sealed=False)
    (folder / "rng_state.pth").unlink()
    checkpoints.seal(folder, 1)
    assert newest(output) is None


def test_a_step_set_aside_twice_is_kept_once(output: Path) -> None:
    for _ in range(2):
        make(output, 5, is_sealed=False)
        assert newest(output) is None
    assert [path.name for path in (output.parent / "set_aside").iterdir()] == ["checkpoint-5"]


def test_only_the_newest_are_kept_and_unsealed_ones_do_not_count(output: Path) -> None:
    for step in (1, 2, 10):
        make(output, step)
    make(output, 11, is_sealed=False)
    checkpoints.keep_newest(output, 2)
    assert [step for step, _ in checkpoints.folders(output)] == [11, 10, 2]


def test_what_lies_beside_checkpoints_is_cleared(output: Path) -> None:
    make(output, 1)
    (output / "adapter_model.safetensors").write_text("left by an attempt that was killed")
    checkpoints.clear_output(output)
    assert [path.name for path in output.iterdir()] == ["checkpoint-1"]
