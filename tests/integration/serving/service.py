"""The real training service as a process, behind an orchestrator with a registry of tiny models."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from openai import OpenAI

from orchestrator.wiring import Wiring
from shared.kit.artifacts import ArtifactStore
from shared.kit.auth import ServiceTokens
from tests.conftest import SERVICE_SECRET
from tests.integration.orchestrator.registry import KEY, NOBODY, running_registry
from tests.ports import free_port
from tests.waiting import eventually

TITLE = "imts:engine:serving"


class TrainingProcess:
    """`python -m services.training`, without a spare for jobs."""

    def __init__(self, folder: Path, artifacts: Path, **settings: object) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "PATH": os.environ["PATH"], "IMTS_SERVICE_SECRET": SERVICE_SECRET, "IMTS_STREAM_URL": NOBODY,
            "IMTS_ORCHESTRATOR_URL": NOBODY, "IMTS_ARTIFACTS_URL": str(artifacts), "TRAINING_SPARES": "0",
            "TRAINING_DATA_DIR": str(folder), "TRAINING_PORT": str(self.port), "OMP_NUM_THREADS": "1",
            **{f"TRAINING_{name.upper()}": str(value) for name, value in settings.items()},
        }  # fmt: skip
        token = ServiceTokens("orchestrator", SERVICE_SECRET).issue("training")
        headers = {"authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready."""
        with (self.folder / "service.log").open("ab") as log:
            command = [sys.executable, "-m", "services.training"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        eventually(self._is_ready, within_s=60)

    def _is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def engines(self) -> list[psutil.Process]:
        """Its living serving engines."""
        assert self.process is not None
        children = psutil.Process(self.process.pid).children()
        return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]

    def view(self) -> dict[str, Any]:
        """How serving stands."""
        return dict(self.http.get("/serving").json())

    def is_quiet(self) -> bool:
        """Whether nothing is being answered, here or in the engine."""
        view = self.view()
        return view["in_flight"] == 0 and not any(one["rows"] for one in view["loaded"])

    def stop(self) -> None:
        """SIGTERM; nothing of it is left."""
        assert self.process is not None
        engines = self.engines()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) in {0, -signal.SIGTERM}
        eventually(lambda: [one for one in engines if one.is_running()], lambda left: not left)
        self.http.close()


@dataclass
class House:
    """An orchestrator and a training service; `client` is OpenAI's own."""

    training: TrainingProcess
    wiring: Wiring
    user: httpx.Client
    client: OpenAI
    store: ArtifactStore

    def register(self, name: str, base: Path, adapter: Path | None = None, template: str = "chatml") -> str:
        """Put a model version into the registry; its reference."""
        trees = self.store.put_tree(base).sha256, None if adapter is None else self.store.put_tree(adapter).sha256
        added = self.wiring.units.write(
            lambda uow: uow.models.add_version(
                name=name,
                base=trees[0],
                adapter=trees[1],
                template=template,
                parameters=None,
                base_model=None,
                job_id=None,
            )
        )
        return added.model.reference

    def ask(self, model: str, text: str, **more: Any) -> Any:
        """One question, answered whole; likeliest tokens unless said otherwise."""
        messages: Any = [{"role": "user", "content": text}]
        return self.client.chat.completions.create(
            model=model, messages=messages, **{"temperature": 0, "max_tokens": 16, **more}
        )


@contextmanager
def running_house(folder: Path, orchestrator: dict[str, Any] | None = None, **settings: object) -> Iterator[House]:
    """Both services, on a fresh registry."""
    artifacts = folder / "artifacts"
    training = TrainingProcess(folder / "training", artifacts, **settings)
    training.start()
    more = {"training_url": training.url, "artifacts_url": str(artifacts), **(orchestrator or {})}
    try:
        with running_registry("", folder / "orchestrator", **more) as registry:
            url = f"{registry.user.base_url}".rstrip("/")
            client = OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0, timeout=60)
            store = ArtifactStore(str(artifacts), folder / "cache")
            with client:
                yield House(training, registry.wiring, registry.user, client, store)
    finally:
        training.stop()
