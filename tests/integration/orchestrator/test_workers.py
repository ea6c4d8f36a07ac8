"""Workers that an operator drains, forgets and takes back."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestrator.db.engine import MIGRATIONS
from orchestrator.domain.peers import Peers
from orchestrator.settings import OrchestratorSettings
from shared.contracts.events import AppendRequest, NewEvent
from shared.contracts.work import Outcome, Progress
from shared.kit.errors import ProducerSealed
from tests.conftest import SERVICE_SECRET
from tests.databases import migrated
from tests.fakes.worker import MADE_MODEL, FakeWorker
from tests.integration.orchestrator.mesh import API_KEY, Answer, Mesh
from tests.waiting import eventually


class TwoHosts(Mesh):
    """A mesh whose training service has the workers `near` and `far`."""

    def __init__(self, settings: OrchestratorSettings, stack: ExitStack) -> None:
        super().__init__(settings, stack)
        self.hosts = {"near": FakeWorker("near"), "far": FakeWorker("far")}
        others = {name: FakeWorker(name) for name in ("analyzer", "evaluator")}
        self.peers = Peers({**self.hosts, **others}, self.stream, {"training": list(self.hosts)})
        self.restart()

    def rule(self, verb: str, name: str) -> Answer:
        """POST /api/workers/NAME/VERB."""
        answer = self.http.post(f"/api/workers/{name}/{verb}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def home_of(self, job_id: str) -> FakeWorker:
        """The host that runs the job's newest attempt."""
        return next(host for host in self.hosts.values() if any(job_id in living for living in host.living))


@pytest.fixture
def mesh(database_url: str, tmp_path: Path) -> Iterator[TwoHosts]:
    settings = OrchestratorSettings(
        data_dir=tmp_path / "data", database_url=SecretStr(database_url), service_secret=SecretStr(SERVICE_SECRET),
        api_key=SecretStr(API_KEY), look_interval_s=0.05, retry_backoff_s=0.02, drain_patience_s=0.3, lease_s=2,
    )  # fmt: skip
    migrated(database_url, MIGRATIONS)
    with ExitStack() as stack:
        yield TwoHosts(settings, stack)


def log_of(mesh: Mesh, job_id: str) -> list[tuple[str, object]]:
    told = mesh.stream.events_of[f"job:{job_id}"]
    return [(event.event_type, event.data.get("to", event.data)) for event in told]


def report(mesh: Mesh, attempt_id: str, first_seq: int, count: int) -> None:
    now = mesh.wiring.clock.now()
    events = [NewEvent(event_type="metrics_update", timestamp=now, data={"step": n}) for n in range(count)]
    request = AppendRequest(producer=attempt_id, first_seq=first_seq, events=events)
    asyncio.run(mesh.stream.append(f"job:{attempt_id.rpartition('.')[0]}", request))


def paused_with_checkpoints(mesh: TwoHosts) -> tuple[str, FakeWorker]:
    """A job that was paused after some steps, and the host that has them."""
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    home = mesh.home_of(job_id)
    home.run(f"{job_id}.1", Progress(step=7, total_steps=10))
    eventually(lambda: mesh.job(job_id), lambda job: job["currentStep"] == 7)
    mesh.ask(job_id, "pause")
    mesh.until(job_id, "paused")
    return job_id, home


def test_a_drained_worker_finishes_what_it_has_and_gets_nothing_new(mesh: TwoHosts) -> None:
    first = mesh.submit()
    mesh.until(first, "running")
    home = mesh.home_of(first)
    assert mesh.rule("drain", home.name)["state"] == "draining"
    second, third = mesh.submit(), mesh.submit()
    mesh.until(second, "running")
    assert mesh.home_of(second) is not home
    home.end(f"{first}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(first, "succeeded")
    assert mesh.job(third)["status"] == "queued"
    mesh.rule("admit", home.name)
    mesh.until(third, "running")
    assert mesh.home_of(third) is home


def test_silence_alone_loses_nothing_and_forgetting_starts_a_new_attempt_elsewhere(mesh: TwoHosts) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    home = mesh.home_of(job_id)
    home.run(f"{job_id}.1", Progress(step=7, total_steps=10))
    mesh_job = eventually(lambda: mesh.job(job_id), lambda job: job["currentStep"] == 7)
    assert mesh_job["attempt"] == 1
    report(mesh, f"{job_id}.1", 1, 7)
    home.is_silent = True
    silent = eventually(lambda: mesh.job(job_id), lambda job: job["unreachableSince"] is not None)
    assert (silent["status"], silent["attempt"]) == ("running", 1)
    told = mesh.rule("forget", home.name)
    assert (told["state"], told["isSilent"]) == ("forgotten", True)
    fresh = eventually(lambda: mesh.job(job_id), lambda job: (job["status"], job["attempt"]) == ("running", 2))
    assert fresh["unreachableSince"] is None
    other = mesh.home_of(job_id) if not home.living else next(host for host in mesh.hosts.values() if host is not home)
    assert other is not home
    first = mesh.attempts(job_id)[0]
    assert (first["outcome"], first["failure"]["reason"]) == ("worker_lost", "worker_lost")
    with pytest.raises(ProducerSealed):
        report(mesh, f"{job_id}.1", 8, 1)
    other.end(f"{job_id}.2", Outcome.SUCCEEDED, result=MADE_MODEL)
    mesh.until(job_id, "succeeded")
    ends = eventually(lambda: log_of(mesh, job_id)[-2:], lambda told: told[-1][1] == "succeeded")
    assert ends == [("attempt_log_incomplete", {"attempt": 1, "from": 8}), ("phase_changed", "succeeded")]


def test_the_log_of_a_job_that_ended_ends_too_when_its_worker_is_forgotten(mesh: TwoHosts) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    home = mesh.home_of(job_id)
    report(mesh, f"{job_id}.1", 1, 3)
    home.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL, last_seq=5)
    mesh.until(job_id, "succeeded")
    home.is_silent = True
    other = mesh.submit()
    mesh.until(other, "running")
    eventually(lambda: mesh.stream.phases(other), lambda told: "running" in told)
    assert "succeeded" not in mesh.stream.phases(job_id)
    mesh.rule("forget", home.name)
    eventually(lambda: log_of(mesh, job_id)[-1:], lambda told: told == [("phase_changed", "succeeded")])
    assert log_of(mesh, job_id)[-2] == ("attempt_log_incomplete", {"attempt": 1, "from": 4})
    assert [kind for kind, _ in log_of(mesh, job_id)].count("attempt_log_incomplete") == 1


def test_a_worker_that_lost_its_disk_says_so_itself(mesh: TwoHosts) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    home = mesh.home_of(job_id)
    home.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL, last_seq=5)
    mesh.until(job_id, "succeeded")
    home.forget(f"{job_id}.1")
    eventually(lambda: log_of(mesh, job_id)[-1:], lambda told: told == [("phase_changed", "succeeded")])
    assert log_of(mesh, job_id)[-2] == ("attempt_log_incomplete", {"attempt": 1, "from": 1})


def test_a_job_that_waits_for_the_checkpoints_of_a_forgotten_worker_may_start_anywhere(mesh: TwoHosts) -> None:
    job_id, home = paused_with_checkpoints(mesh)
    home.is_silent = True
    mesh.ask(job_id, "resume")
    eventually(lambda: mesh.job(job_id), lambda job: "does not answer" in job["why"])
    mesh.rule("forget", home.name)
    assert mesh.until(job_id, "running")["attempt"] == 2
    assert mesh.home_of(job_id) is not home


def test_a_job_that_is_paused_while_its_worker_is_forgotten_can_be_resumed(mesh: TwoHosts) -> None:
    job_id, home = paused_with_checkpoints(mesh)
    mesh.rule("forget", home.name)
    mesh.ask(job_id, "resume")
    mesh.until(job_id, "running")
    assert mesh.home_of(job_id) is not home


def test_a_job_being_stopped_on_a_forgotten_worker_is_stopped(mesh: TwoHosts) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    mesh.home_of(job_id).is_silent = True
    mesh.rule("forget", mesh.home_of(job_id).name)
    mesh.ask(job_id, "stop")
    assert mesh.until(job_id, "stopped")["attempt"] >= 1


def test_workers_are_listed_with_what_they_say_and_what_was_said_of_them(mesh: TwoHosts) -> None:
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    home = mesh.home_of(job_id)
    mesh.hosts["far"].is_silent = home.name != "far"
    mesh.rule("drain", home.name)
    listed = {worker["name"]: worker for worker in mesh.http.get("/api/workers").json()["data"]}
    assert set(listed) == {"near", "far", "analyzer", "evaluator"}
    mine = listed[home.name]
    assert (mine["service"], mine["atWork"], mine["slots"], mine["changedBy"]) == ("training", 1, 1, "admin")
    assert listed["analyzer"]["state"] == "active"


def test_a_ruling_is_written_down_once(mesh: TwoHosts) -> None:
    for _ in range(2):
        mesh.rule("drain", "near")
    mesh.rule("admit", "near")
    told = mesh.wiring.units.read(lambda uow: uow.audit.of("worker:near", 10))
    assert [(one.who, one.action, one.before, one.after) for one in told] == [
        ("admin", "admit_worker", {"state": "draining"}, {"state": "active"}),
        ("admin", "drain_worker", {"state": "active"}, {"state": "draining"}),
    ]


@pytest.mark.parametrize("verb", ["drain", "forget", "admit"])
def test_a_worker_that_nobody_knows_is_named_in_the_refusal(verb: str, mesh: TwoHosts) -> None:
    answer = mesh.http.post(f"/api/workers/nobody/{verb}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "worker_not_found")
    assert "near" in answer.json()["error"]["message"]


def test_a_ruling_outlives_the_orchestrator(mesh: TwoHosts) -> None:
    mesh.rule("forget", "near")
    mesh.restart()
    job_id = mesh.submit()
    mesh.until(job_id, "running")
    assert mesh.home_of(job_id).name == "far"
