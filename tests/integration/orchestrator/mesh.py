"""An orchestrator under test, and shorthand for what tests ask of it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from orchestrator.app import create_app
from orchestrator.db.engine import open_database
from orchestrator.db.unit_of_work import SqlUnitsOfWork
from orchestrator.domain.dataset import NewDataset
from orchestrator.domain.peers import Peers
from orchestrator.domain.ports import UnitsOfWork
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import Wiring
from shared.contracts.datasets import DatasetFormat
from tests.conftest import SERVICE_SECRET
from tests.fakes.stream import FakeStream
from tests.fakes.worker import FakeWorker
from tests.live_server import live_server
from tests.waiting import eventually

API_KEY = "imts-admin-key-of-the-tests"
TRAINING = {"modelName": "base", "dataset": "facts", "batchSize": 2, "learningRate": 0.001, "epochs": 1.0}
Answer = dict[str, Any]
ALLOWED: Answer = {"egress_allow": "127.0.0.1", "egress_http": True, "webhook_retry_s": 0.02}
"""Settings of an operator who lets webhooks call this machine, and is in a hurry."""


class Mesh:
    """One orchestrator; `restart` makes the next process of the same replica."""

    def __init__(self, settings: OrchestratorSettings, stack: ExitStack) -> None:
        self.settings = settings
        self.worker = FakeWorker()
        self.stream = FakeStream()
        workers = {"training": self.worker, "analyzer": FakeWorker("analyzer"), "evaluator": FakeWorker("evaluator")}
        self.peers = Peers(workers, self.stream)
        self.has_fakes = True
        """Otherwise the next start uses the services that the settings name."""
        self._stack = stack
        self._life = stack.enter_context(ExitStack())
        self.start()
        register(self.wiring.units)

    def start(self) -> None:
        """Serve."""
        app = create_app(self.settings, self.peers if self.has_fakes else None)
        self.wiring: Wiring = app.state.wiring
        self.url = self._life.enter_context(live_server(app))
        self.http = self._life.enter_context(
            httpx.Client(base_url=self.url, headers={"authorization": f"Bearer {API_KEY}"}, trust_env=False)
        )

    def stop(self) -> None:
        """Serve no more."""
        self._life.close()

    def restart(self) -> None:
        """A new process on the same database."""
        self.stop()
        self._life = self._stack.enter_context(ExitStack())
        self.start()

    def start_units(self) -> SqlUnitsOfWork:
        """Transactions on the database, without a server."""
        database = open_database(self.settings)
        self._stack.callback(database.close)
        return SqlUnitsOfWork(database)

    def submit(self, **fields: object) -> str:
        """A training job; its id."""
        answer = self.http.post("/api/training/jobs", json={**TRAINING, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["jobId"])

    def job(self, job_id: str) -> Answer:
        """The job as the API answers it."""
        answer = self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def until(self, job_id: str, *statuses: str, within_s: float = 10.0) -> Answer:
        """The job, once it has one of these statuses."""
        return eventually(lambda: self.job(job_id), lambda job: job["status"] in statuses, within_s)

    def ask(self, job_id: str, verb: str) -> httpx.Response:
        """POST …/stop, pause, resume, retry."""
        return self.http.post(f"/api/jobs/{job_id}/{verb}")

    def history(self, job_id: str) -> list[str]:
        """The statuses it went through."""
        return [move["toStatus"] for move in self.http.get(f"/api/jobs/{job_id}/history").json()["data"]]

    def attempts(self, job_id: str) -> list[Answer]:
        """Its attempts."""
        return list(self.http.get(f"/api/jobs/{job_id}/attempts").json()["data"])


def register(units: UnitsOfWork) -> None:
    """Write down a data set `facts` and a model `base`."""
    rows = NewDataset("facts", 10, DatasetFormat.ALPACA, "a" * 64, 100, datetime.now(UTC))
    units.write(lambda uow: uow.datasets.add_version(rows))
    units.write(
        lambda uow: uow.models.add_version(
            name="base", base="c" * 64, adapter=None, template="default", parameters=7, base_model=None, job_id=None
        )
    )


@contextmanager
def running_orchestrator(database_url: str, folder: Path, **more: Any) -> Iterator[Mesh]:
    """An orchestrator in a hurry, on a database with a schema; a data set `facts` and a model `base` are registered."""
    hurried: dict[str, Any] = {"look_interval_s": 0.05, "retry_backoff_s": 0.02, "drain_patience_s": 0.3, "lease_s": 2}
    settings = OrchestratorSettings(
        data_dir=folder, database_url=SecretStr(database_url), service_secret=SecretStr(SERVICE_SECRET),
        api_key=SecretStr(API_KEY), **hurried, **more,
    )  # fmt: skip
    with ExitStack() as stack:
        yield Mesh(settings, stack)
