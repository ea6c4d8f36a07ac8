"""Looks at processes and job views all the time, and remembers what must never be seen."""

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.chaos.mesh.chaos_mesh import ChaosMesh
from tests.chaos.mesh.living import Living, living
from tests.mesh import KEY, TERMINAL

_EVERY_S = 0.2
_PAGE = 200

View = dict[str, Any]


def twins_in(folder: Path, data: Path) -> list[str]:
    """Jobs of the run in `folder` with two engines or two shepherds that live beside each other."""

    def is_at_work(one: Living) -> bool:
        # With its report written, an attempt's shepherd only has to go.
        job_id, _, number = one.attempt_id.rpartition(".")
        return one.is_alive() and not any(data.glob(f"*/jobs/{job_id}/{number}/exit.json"))

    groups: dict[tuple[str, str], dict[int, Living]] = defaultdict(dict)
    for one in living(folder):
        if one.role in {"engine", "shepherd"} and one.attempt_id != "spare" and is_at_work(one):
            groups[one.role, one.attempt_id.rpartition(".")[0]][one.group] = one
    found = []
    for (role, job_id), members in groups.items():
        # One may have died while the other was looked for: only those that live beside each other count.
        twins = [one for one in members.values() if len(members) > 1 and is_at_work(one)]
        if len(twins) > 1 and all(is_at_work(one) for one in twins):
            found.append(f"{job_id} has {len(twins)} living {role}s: {sorted(map(str, twins))}")
    return found


@dataclass
class Watcher:
    """Runs in a thread of its own between `start` and `end`."""

    world: ChaosMesh
    faults: list[str] = field(default_factory=list)
    looks: int = 0
    views_seen: int = 0

    def __post_init__(self) -> None:
        self._views: dict[str, View] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Look no more."""
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        headers = {"authorization": f"Bearer {KEY}"}
        with httpx.Client(base_url=self.world.mesh.url("orchestrator"), headers=headers, trust_env=False) as http:
            while not self._is_over.wait(_EVERY_S):
                self.faults += twins_in(self.world.folder, self.world.mesh.folder)
                self.looks += 1
                self._look_at_views(http)

    def _look_at_views(self, http: httpx.Client) -> None:
        try:
            answer = http.get("/api/jobs", params={"limit": _PAGE}, timeout=2)
        except httpx.TransportError:
            return
        if answer.status_code != 200:
            return
        for view in answer.json()["data"]:
            self.views_seen += 1
            before = self._views.get(view["jobId"])
            self._views[view["jobId"]] = view
            if before is not None:
                self._compare(before, view)

    def _compare(self, before: View, after: View) -> None:
        name = after["jobId"]
        if after["attempt"] < before["attempt"]:
            self.faults.append(f"{name}: attempt {before['attempt']} was followed by {after['attempt']}")
        if before["status"] in TERMINAL and after["status"] != before["status"]:
            self.faults.append(f"{name} was {before['status']} and is {after['status']}")
        if before["status"] in TERMINAL and after["endedAt"] != before["endedAt"]:
            self.faults.append(f"{name} ended at {before['endedAt']} and again at {after['endedAt']}")


def until_whole(world: ChaosMesh, within_s: float) -> float:
    """Wait until every service, the database and `imts up` answer; the moment they did."""
    deadline = time.monotonic() + within_s
    while missing := world.missing():
        assert time.monotonic() < deadline, f"not back within {within_s:g} s: {missing}"
        time.sleep(_EVERY_S / 4)
    return time.monotonic()
