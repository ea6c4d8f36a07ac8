"""Checkpoints that can be trusted: a manifest with the hash of every file, written last; no manifest, no checkpoint."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contracts.base import JsonObject
from shared.kit.files import fsync, sha256_of, write_atomic

MANIFEST = "imts-manifest.json"
REQUIRED = frozenset({"trainer_state.json", "optimizer.pt", "scheduler.pt"})
"""The trainer resumes silently wrong without these, or without a random state."""
_OPTIMIZERS_OF_OTHERS = ("optimizer.bin", "optimizer_0/", "global_step")
"""What several processes that share out the optimizer's state write instead."""
_FIGURES = {"train_loss": "loss", "val_loss": "eval_loss", "learning_rate": "learning_rate"}
_FOLDER = re.compile(r"^checkpoint-([0-9]+)$")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder whose files were all found to be what its manifest says."""

    path: Path
    step: int

    def is_final(self, max_steps: int | None = None) -> bool:
        """Whether a run of so many steps, or of as many as it had, has nothing left to do."""
        state = self._trainer_state()
        return bool(state["global_step"] >= (max_steps or state["max_steps"]))

    def figures(self) -> JsonObject:
        """How the training stood when this was saved."""
        state = self._trainer_state()
        figures: JsonObject = {"epoch": state["epoch"], "step": self.step, "total_steps": state["max_steps"]}
        for entry in state["log_history"]:
            figures |= {ours: entry[theirs] for ours, theirs in _FIGURES.items() if theirs in entry}
        return figures

    def _trainer_state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.path / "trainer_state.json").read_bytes())
        return state


@dataclass(frozen=True, slots=True)
class SetAside:
    """A checkpoint that was not taken, and why."""

    step: int
    fault: str


def folders(output: Path) -> list[tuple[int, Path]]:
    """Checkpoint folders by step, newest first, good or not."""
    found = [(int(match[1]), path) for path in output.glob("checkpoint-*") if (match := _FOLDER.match(path.name))]
    return sorted(found, reverse=True)


def seal(path: Path, step: int) -> int:
    """Make the files durable, then declare the checkpoint whole; answers its size in bytes."""
    listing: dict[str, dict[str, str | int]] = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.name != MANIFEST:
            fsync(file)
            name = file.relative_to(path).as_posix()
            listing[name] = {"sha256": sha256_of(file), "size": file.stat().st_size}
    fsync(path.parent)
    write_atomic(path / MANIFEST, json.dumps({"step": step, "files": listing}, indent=1))
    return sum(int(entry["size"]) for entry in listing.values())


def fault_of(path: Path, step: int) -> str | None:
    """Why this folder must not be resumed from; None when it is whole."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        files: dict[str, dict[str, str | int]] = dict(manifest["files"])
        if manifest["step"] != step:
            return "its manifest is of another step"
        missing = REQUIRED - files.keys()
        if any(name.startswith(_OPTIMIZERS_OF_OTHERS) for name in files):
            missing -= {"optimizer.pt"}
        if missing or not any(name.startswith("rng_state") for name in files):
            return f"incomplete: {', '.join(sorted(missing)) or 'rng_state'}"
        for name, entry in files.items():
            file = path / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != entry["size"] or sha256_of(file) != entry["sha256"]:
                return f"{name} is damaged"
    except FileNotFoundError:
        return "no manifest: it was never finished"
    except (ValueError, KeyError, TypeError):
        return "its manifest is damaged"
    return None


def newest_good(output: Path, set_aside: Path) -> tuple[Checkpoint | None, list[SetAside]]:
    """The newest whole checkpoint; what is newer and not whole moves to `set_aside`, out of the trainer's sight."""
    refused: list[SetAside] = []
    for step, path in folders(output):
        fault = fault_of(path, step)
        if fault is None:
            return Checkpoint(path, step), refused
        move_away(path, set_aside)
        refused.append(SetAside(step, fault))
    return None, refused


def move_away(path: Path, set_aside: Path) -> None:
    """Take a checkpoint out of the trainer's sight, in the place of an earlier one of its name."""
    set_aside.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(set_aside / path.name, ignore_errors=True)
    path.rename(set_aside / path.name)


def drop_from(output: Path, step: int) -> None:
    """Remove the checkpoints of this step and later ones: a run that went astray wrote them."""
    for made_at, path in folders(output):
        if made_at >= step:
            (path / MANIFEST).unlink(missing_ok=True)
            shutil.rmtree(path)


def clear_output(output: Path) -> None:
    """Remove what an earlier attempt left beside its checkpoints: the trainer refuses such a folder."""
    for path in output.iterdir():
        if path.is_file():
            path.unlink()


def keep_newest(output: Path, count: int, best: int | None = None) -> None:
    """Remove sealed checkpoints but the newest `count` and the one of step `best`; called once a newer is durable."""
    sealed = [(step, path) for step, path in folders(output) if (path / MANIFEST).is_file()]
    for step, path in sealed[count:]:
        if step != best:
            # Without its manifest a half-removed checkpoint is never taken for a whole one.
            (path / MANIFEST).unlink()
            shutil.rmtree(path)
