"""Two living process groups of one job, and processes that a mesh leaves behind, do not go unseen."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.mesh.leftovers import orphan_processes
from tests.chaos.mesh.living import living
from tests.chaos.mesh.watcher import twins_in
from tests.waiting import eventually

_TITLED = "import sys, setproctitle; setproctitle.setproctitle(sys.argv[1]); sys.stdin.read()"


@contextmanager
def _processes(folder: Path, *titles: str) -> Iterator[None]:
    with ExitStack() as stack, (folder / "out").open("wb") as out:
        for title in titles:
            command = [sys.executable, "-c", _TITLED, title]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, start_new_session=True)
            stack.enter_context(process)
        eventually(lambda: {one.title for one in living(folder)}, lambda found: found == set(titles))
        yield


def test_two_engines_of_one_job_are_seen(tmp_path: Path) -> None:
    with _processes(tmp_path, "imts:engine:job-1.1", "imts:engine:job-1.2", "imts:shepherd:job-1.2"):
        (found,) = twins_in(tmp_path, tmp_path)
        assert "job-1 has 2 living engines" in found


def test_an_engine_whose_attempt_has_its_report_only_has_to_go(tmp_path: Path) -> None:
    over = tmp_path / "training" / "jobs" / "job-1" / "1"
    over.mkdir(parents=True)
    (over / "exit.json").touch()
    with _processes(tmp_path, "imts:engine:job-1.1", "imts:engine:job-1.2", "imts:engine:job-2.1"):
        assert twins_in(tmp_path, tmp_path) == []


def test_whatever_still_prints_into_the_folder_is_an_orphan(tmp_path: Path) -> None:
    with _processes(tmp_path, "imts:engine:job-1.1"):
        (only,) = living(tmp_path)
        assert list(orphan_processes(tmp_path, {only.pid})) == []
        assert "lives on: imts:engine:job-1.1" in next(orphan_processes(tmp_path, {os.getpid()}))
    assert list(orphan_processes(tmp_path, set())) == []
