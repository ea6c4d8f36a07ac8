"""`imts up` with real processes: restarts, adoption, locks, ports and the order of stopping."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from imts.up.process import start_of
from tests.integration.imts.stub_mesh import RANKS
from tests.waiting import eventually


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@dataclass
class StubMesh:
    """A supervisor of stubs on one folder."""

    folder: Path
    ports: list[int] = field(default_factory=lambda: free_ports(3))
    ups: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, flavour: str = "plain") -> subprocess.Popen[bytes]:
        with (self.folder / "said").open("ab") as said:
            words = [str(self.folder), flavour, *map(str, self.ports)]
            command = [sys.executable, "-m", "tests.integration.imts.stub_mesh", *words]
            self.ups.append(subprocess.Popen(command, stdout=said, stderr=said))
        return self.ups[-1]

    def start_and_wait(self, flavour: str = "plain") -> subprocess.Popen[bytes]:
        heard = self.said().count("ready")
        up = self.start(flavour)
        eventually(lambda: self.said().count("ready") > heard)
        return up

    def said(self) -> str:
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""

    def pid(self, name: str) -> int:
        return int(json.loads((self.folder / "run" / f"{name}.json").read_text())["pid"])

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in RANKS}

    def ends(self) -> list[str]:
        return (self.folder / "ends").read_text().splitlines()

    def clean_up(self) -> None:
        for up in self.ups:
            up.kill()
            up.wait()
        for record in (self.folder / "run").glob("*.json"):
            facts = json.loads(record.read_text())
            if start_of(facts["pid"]) == facts["start"]:
                os.kill(facts["pid"], signal.SIGKILL)


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[StubMesh]:
    stub = StubMesh(tmp_path)
    yield stub
    stub.clean_up()


def test_a_killed_service_is_restarted_at_once(mesh: StubMesh) -> None:
    mesh.start_and_wait()
    before = mesh.pids()
    os.kill(before["training"], signal.SIGKILL)
    after = eventually(mesh.pids, lambda pids: pids["training"] != before["training"])
    assert {name: after[name] for name in ("orchestrator", "stream")} == {
        name: before[name] for name in ("orchestrator", "stream")
    }
    assert "training was ended by SIGKILL; starting it again" in mesh.said()


def test_sigterm_stops_the_orchestrator_first_then_drains_workers_then_the_stream(mesh: StubMesh) -> None:
    up = mesh.start_and_wait()
    up.send_signal(signal.SIGTERM)
    assert up.wait(20) == 0
    assert mesh.ends() == ["orchestrator leaves", "training drains", "stream leaves"]


def test_a_person_who_restarts_a_service_does_not_drain_it(mesh: StubMesh) -> None:
    mesh.start_and_wait()
    before = mesh.pid("training")
    os.kill(before, signal.SIGTERM)
    eventually(lambda: mesh.pid("training") != before)
    assert mesh.ends() == ["training leaves"]


def test_the_drain_marker_is_gone_at_the_next_start(mesh: StubMesh) -> None:
    up = mesh.start_and_wait()
    up.send_signal(signal.SIGINT)
    assert up.wait(20) == 0
    mesh.start_and_wait()
    assert not (mesh.folder / "training" / "drain").exists()


def test_services_outlive_a_killed_up_and_the_next_one_adopts_them(mesh: StubMesh) -> None:
    up = mesh.start_and_wait()
    before = mesh.pids()
    up.kill()
    up.wait()
    second = mesh.start_and_wait()
    assert mesh.pids() == before
    assert mesh.said().count("taken over") == 3
    os.kill(before["stream"], signal.SIGKILL)
    eventually(lambda: mesh.pid("stream") != before["stream"])
    second.send_signal(signal.SIGTERM)
    assert second.wait(20) == 0
    assert start_of(before["training"]) is None


def test_living_services_with_other_settings_are_restarted_without_draining(mesh: StubMesh) -> None:
    up = mesh.start_and_wait()
    before = mesh.pids()
    up.kill()
    up.wait()
    mesh.start_and_wait("changed")
    assert set(mesh.pids().values()).isdisjoint(before.values())
    assert sorted(mesh.ends()) == ["orchestrator leaves", "stream leaves", "training leaves"]


def test_a_second_up_on_the_same_folder_is_refused_and_names_the_first(mesh: StubMesh) -> None:
    first = mesh.start_and_wait()
    assert mesh.start().wait(20) == 1
    assert f"another `imts up` (pid {first.pid}) runs on {mesh.folder}" in mesh.said()


def test_a_stranger_on_a_port_is_named_before_anything_starts(mesh: StubMesh) -> None:
    with socket.create_server(("127.0.0.1", mesh.ports[1])):
        assert mesh.start().wait(20) == 1
    assert f"port {mesh.ports[1]} for training is taken by another program" in mesh.said()
    assert not list((mesh.folder / "run").glob("*.json"))


def test_a_service_that_cannot_start_is_told_with_the_end_of_its_log(mesh: StubMesh) -> None:
    (mesh.folder / "training.broken").touch()
    mesh.start_and_wait()
    eventually(lambda: "training cannot start" in mesh.said(), within_s=30)
    eventually(lambda: "this stub is told to break" in mesh.said())
    assert "exited with code 1; starting it again in 30 s" in mesh.said()


def test_a_record_of_a_pid_that_now_is_another_program_is_not_believed(mesh: StubMesh) -> None:
    (mesh.folder / "run").mkdir()
    facts = {"pid": os.getpid(), "start": "another-boot:1", "port": 1, "fingerprint": "x"}
    (mesh.folder / "run" / "training.json").write_text(json.dumps(facts))
    mesh.start_and_wait()
    assert mesh.pid("training") != os.getpid()
