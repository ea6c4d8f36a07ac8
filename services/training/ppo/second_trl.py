"""Puts the trl that stage ppo needs before the one that every other stage needs (standard library only)."""

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FOLDER = Path(sys.prefix) / "trl-ppo"
"""Where `make setup` and the image install it, from `requirements/ppo.lock`."""
BUILT_FOR = {
    "llamafactory": "0.9.5",
    "transformers": "5.6.0",
    "peft": "0.18.1",
    "accelerate": "1.11.0",
    "trl": "0.9.6",
}
"""What the bridges in `bridges.py` were tried with. Another version: try each bridge again, then change this."""


def put_first() -> str | None:
    """Answers why stage ppo cannot run in this process, if it cannot; for the first lines of an engine."""
    if "trl" in sys.modules:
        return "another trl was imported already"
    if not (FOLDER / "trl").is_dir():
        return f"{FOLDER} has no trl"
    sys.path.insert(0, str(FOLDER))
    return strangers()


def strangers() -> str | None:
    """Which installed versions are not those that the bridges are for."""
    found = {name: _version(name) for name in BUILT_FOR}
    others = [
        f"{name} {found[name]} instead of {BUILT_FOR[name]}" for name in BUILT_FOR if found[name] != BUILT_FOR[name]
    ]
    return ", ".join(others) or None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
