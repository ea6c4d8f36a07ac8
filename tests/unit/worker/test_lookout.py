"""Who watches files is told that they grew, and soon."""

import threading
from pathlib import Path

from shared.worker.lookout import Lookout
from tests.waiting import eventually


def test_every_file_that_grows_rings_its_own_bell(tmp_path: Path) -> None:
    rung = {name: threading.Event() for name in ("one", "two")}
    with Lookout() as lookout:
        for name, event in rung.items():
            lookout.watch(tmp_path / name, event.set)
        (tmp_path / "one").write_text("now it is there")
        assert rung["one"].wait(10)
        assert not rung["two"].is_set()
        rung["one"].clear()
        with (tmp_path / "one").open("a") as stream:
            stream.write("more")
        assert rung["one"].wait(10)


def test_a_file_that_is_forgotten_rings_no_more(tmp_path: Path) -> None:
    old, new = threading.Event(), threading.Event()
    with Lookout() as lookout:
        lookout.watch(tmp_path / "old", old.set)
        lookout.forget(tmp_path / "old")
        lookout.watch(tmp_path / "new", new.set)
        for name in ("old", "new"):
            (tmp_path / name).write_text("x")
        assert new.wait(10)
        assert not old.is_set()


def test_its_thread_ends_with_it() -> None:
    with Lookout():
        assert "lookout" in [thread.name for thread in threading.enumerate()]
    eventually(lambda: [thread.name for thread in threading.enumerate()], lambda names: "lookout" not in names)
