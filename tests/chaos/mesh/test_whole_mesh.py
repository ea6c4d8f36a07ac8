"""Anything of a working mesh may be killed, frozen or cut off, again and again, and every answer can be trusted."""

import json
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.conftest import Chaos
from tests.chaos.mesh.books import Books
from tests.chaos.mesh.chaos_mesh import ChaosMesh, chaos_mesh
from tests.chaos.mesh.customers import Customers
from tests.chaos.mesh.faults import volleys
from tests.chaos.mesh.invariants import broken_promises, stories
from tests.chaos.mesh.leftovers import orphan_folders, orphan_processes
from tests.chaos.mesh.recovery import Stopwatch
from tests.chaos.mesh.report import report
from tests.chaos.mesh.saboteur import Saboteur
from tests.chaos.mesh.watcher import Watcher, until_whole
from tests.mesh import Mesh
from tests.stories import add_example
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.mysql, pytest.mark.timeout(7_200)]

_ROWS = 400
_BACK_S = 300.0
_DRAIN_S = 120.0


def _furnish(mesh: Mesh, folder: Path) -> None:
    add_example(mesh, folder / "example", limit=_ROWS)
    row = {"messages": [{"role": "user", "content": "many words " * 50}, {"role": "assistant", "content": "yes"}]}
    (folder / "long.jsonl").write_text(f"{json.dumps(row)}\n" * 3)
    with (folder / "long.jsonl").open("rb") as stream:
        answer = mesh.api.post("/api/datasets", files={"file": stream}, data={"name": "cut-away"})
    assert answer.status_code == 201, answer.text


def _is_told(books: Books, data: Path) -> bool:
    """Whether every event is in the log, and every worker knows it."""
    folders = [path.parent for path in data.glob("*/jobs/*/*/exit.json")]
    return not books.unsent() and all((folder / "reported").exists() for folder in folders)


def _break(chaos: Chaos, world: ChaosMesh, customers: Customers, saboteur: Saboteur, stopwatch: Stopwatch) -> None:
    customers.start()
    try:
        for volley in volleys(chaos.random):
            saboteur.strike(volley)
            stopwatch.measure()
            if saboteur.struck.total() >= chaos.count(12, 15):
                break
        customers.finish()
        until_whole(world, _BACK_S)
        eventually(lambda: _is_told(world.books, world.mesh.folder), within_s=_DRAIN_S)
    finally:
        saboteur.undo()
        customers.quit()


def test_nothing_is_lost_or_done_twice_whatever_is_broken(chaos: Chaos, tmp_path: Path) -> None:
    diary = (tmp_path / "diary.log").open("w", buffering=1)

    def say(line: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {line}", file=diary)

    with diary, chaos_mesh(tmp_path, chaos.seed) as world:
        _furnish(world.mesh, tmp_path)
        customers = Customers(
            f"http://127.0.0.1:{world.routes.ports['orchestrator']}", chaos.seed, chaos.count(6, 2), chaos.size(3, 4)
        )
        saboteur, stopwatch, watcher = Saboteur(world, say), Stopwatch(world), Watcher(world)
        watcher.start()
        try:
            _break(chaos, world, customers, saboteur, stopwatch)
        finally:
            watcher.end()
        faults = [*customers.faults, *watcher.faults]
        ends: Counter[str] = Counter()
        told = stories(customers.accepted, world.books, world.mesh.folder, saboteur.killed_attempts, faults)
        for story in told:
            ends[f"{story.order.what} {story.job['phase']}"] += 1
            faults += broken_promises(story)
        known = {str(job["job_id"]) for job in world.books.jobs()}
        assert world.mesh.stop() == 0
        assert world.database.process is not None
        faults += orphan_processes(tmp_path, {world.database.process.pid})
        faults += orphan_folders(world.mesh.folder, known)
        print(report(saboteur, customers, stopwatch, watcher, ends, world.routes.cuts))
    assert faults == []
    assert watcher.looks
    assert watcher.views_seen
