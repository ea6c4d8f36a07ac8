"""MariaDB dies beneath a serving orchestrator: every answer says so, and jobs go on by themselves, each once."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.db.engine import MIGRATIONS
from shared.contracts.work import Outcome
from tests.chaos.outages import assert_is_an_outage
from tests.databases import fresh_schema, migrated
from tests.fakes.worker import MADE_MODEL
from tests.integration.orchestrator.mesh import TRAINING, Mesh, running_orchestrator
from tests.own_servers import OwnMariaDb, own_mariadb
from tests.waiting import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.mysql]


@contextmanager
def _orchestrator(folder: Path) -> Iterator[tuple[OwnMariaDb, Mesh]]:
    with own_mariadb(folder / "mariadb") as database, fresh_schema(database.url) as schema:
        migrated(schema, MIGRATIONS)
        with running_orchestrator(schema, folder / "data") as mesh:
            yield database, mesh


def _submit(mesh: Mesh, key: str) -> str:
    answer = mesh.http.post("/api/training/jobs", json=TRAINING, headers={"idempotency-key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def _assert_says_so(mesh: Mesh, job_id: str) -> None:
    assert mesh.http.get("/healthz").status_code == 200
    assert_is_an_outage(mesh.http.get("/readyz"))
    for path in ("/api/jobs", f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/history", "/api/datasets", "/api/models"):
        assert_is_an_outage(mesh.http.get(path))
    assert_is_an_outage(mesh.http.post("/api/training/jobs", json=TRAINING, headers={"idempotency-key": "lost"}))
    assert_is_an_outage(mesh.ask(job_id, "stop"))


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
def test_a_database_that_goes_away_while_serving_is_an_outage(tmp_path: Path, death: signal.Signals) -> None:
    with _orchestrator(tmp_path) as (database, mesh):
        job_id = _submit(mesh, "known")
        mesh.until(job_id, "running")
        database.kill(death)
        for _ in range(2):
            _assert_says_so(mesh, job_id)
        mesh.worker.end(f"{job_id}.1", Outcome.SUCCEEDED, result=MADE_MODEL)
        database.start()
        eventually(lambda: mesh.http.get("/readyz").status_code == 200)
        assert _submit(mesh, "known") == job_id
        assert mesh.until(job_id, "succeeded")["attempt"] == 1
        later = _submit(mesh, "lost")
        assert later != job_id
        mesh.until(later, "running")
        assert mesh.worker.starts == [f"{job_id}.1", f"{later}.1"]
        assert len(mesh.http.get("/api/jobs").json()["data"]) == 2
        eventually(lambda: mesh.stream.phases(job_id), lambda told: told == mesh.history(job_id))
