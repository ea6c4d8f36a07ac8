"""A service's process and the record of it: never the one without the other."""

import signal
import subprocess
import sys
from pathlib import Path

from imts.up.process import Process, start_of
from tests.chaos.mesh.living import living
from tests.waiting import eventually

_SPAWN = """
import os, sys
from pathlib import Path
import imts.up.process as process
from imts.up.commands import Command

folder, dies = Path(sys.argv[1]), sys.argv[2] == "dies"
write = process.write_private
def told(*facts):
    os.kill(os.getpid(), 9) if dies else write(*facts)
process.write_private = told
service = "import pathlib, signal; pathlib.Path('began').touch(); signal.pause()"
command = Command("training", (sys.executable, "-c", service), dict(os.environ), "127.0.0.1", 1, 0)
process.Process.spawn(command, folder / "log", folder / "record")
"""


def _spawn(folder: Path, fate: str) -> int:
    (folder / "log").touch()
    environment = {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", _SPAWN, str(folder), fate]
    return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


def test_whoever_dies_before_a_service_is_written_down_leaves_none(tmp_path: Path) -> None:
    assert _spawn(tmp_path, "dies") == -signal.SIGKILL
    try:
        eventually(lambda: list(living(tmp_path, is_all=True)), lambda left: left == [], within_s=5)
    finally:
        for one in living(tmp_path, is_all=True):
            one.send(signal.SIGKILL)
    assert not (tmp_path / "began").exists()


def test_a_service_that_is_written_down_begins_and_is_found_again(tmp_path: Path) -> None:
    assert _spawn(tmp_path, "lives") == 0
    eventually((tmp_path / "began").exists)
    (service,) = living(tmp_path, is_all=True)
    found = Process.find(tmp_path / "record")
    assert found is not None
    process, _ = found
    assert (process.pid, start_of(process.pid) is not None) == (service.pid, True)
    process.send(signal.SIGKILL)
    assert process.has_ended(5)
    process.bury()
