"""The pinned requirements agree with each other and name no host."""

import re
from pathlib import Path

import pytest

from services.training.ppo.second_trl import BUILT_FOR
from tools.source import ROOT

LOCKS = [path for path in sorted((ROOT / "requirements").glob("*.lock")) if path.name not in {"bench.lock", "ppo.lock"}]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)


def _pins(lock: Path) -> dict[str, str]:
    return dict(PIN.findall(lock.read_text(encoding="utf-8")))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_smaller_lock_is_a_part_of_the_full_one(lock: Path) -> None:
    full = _pins(ROOT / "requirements" / "full.lock")
    pins = _pins(lock)
    assert len(pins) > 20
    assert {name: pin for name, pin in pins.items() if full.get(name) != pin} == {}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_has_hashes_and_no_host(lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_the_bridges_of_stage_ppo_are_for_the_versions_that_are_locked() -> None:
    engine, second = (_pins(ROOT / "requirements" / name) for name in ("engine.lock", "ppo.lock"))
    assert second == {"trl": BUILT_FOR["trl"]}
    assert {**engine, **second}.items() >= BUILT_FOR.items(), "try each bridge with the new version, then name it"


def test_the_engine_lock_alone_carries_torch() -> None:
    heavy = {lock.name for lock in LOCKS if "torch" in _pins(lock)}
    assert heavy == {"engine.lock", "full.lock"}
