"""The five services as commands: arguments, ports, environment, and the order in which they stop."""

import hashlib
import json
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from imts.up.faults import CannotStart
from imts.up.folder import DataFolder

_SETTINGS = ("IMTS_", "ORCHESTRATOR_", "TRAINING_", "ANALYZER_", "EVALUATOR_", "STREAM_")
_NOT_FOR_SERVICES = frozenset({"IMTS_URL", "IMTS_DATA_DIR"})
_WORKERS = ("training", "analyzer", "evaluator")
PORTS = {"orchestrator": 8080, "training": 8001, "analyzer": 8002, "evaluator": 8003, "stream": 8004}
_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104


@dataclass(frozen=True)
class Command:
    """A service as `imts up` runs it."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str]
    host: str
    port: int
    stop_rank: int
    """Services with a lower rank have ended before those with a higher one are asked to."""
    has_jobs: bool = False
    """Its jobs must be told whether they end with it."""

    @property
    def fingerprint(self) -> str:
        """Same fingerprint, same service: a living process with another one is restarted, not adopted."""
        told = {name: value for name, value in self.environ.items() if name.startswith(_SETTINGS)}
        facts = json.dumps([version("imts"), self.argv, self.host, self.port, told], sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()


@dataclass(frozen=True)
class Address:
    """Where the mesh is bound, and how it is reached."""

    host: str
    port_offset: int

    def __post_init__(self) -> None:
        if not all(0 < self.port(name) < 65_536 for name in PORTS):
            raise CannotStart(f"port offset {self.port_offset} moves a port out of 1 to 65535")

    def port(self, name: str) -> int:
        return PORTS[name] + self.port_offset

    def _url(self, host: str, name: str) -> str:
        return f"http://[{host}]:{self.port(name)}" if ":" in host else f"http://{host}:{self.port(name)}"

    def url(self, name: str) -> str:
        """For this machine: services calling each other, `imts up` looking whether they are ready."""
        return self._url("127.0.0.1" if self.host in _ANYWHERE else self.host, name)

    def public_url(self, name: str) -> str:
        """For people."""
        return self._url(socket.gethostname() if self.host in _ANYWHERE else self.host, name)


def _sqlite(folder: DataFolder, service: str, file: str) -> str:
    return f"sqlite:///{folder.service(service) / file}"


def _environment(
    name: str, address: Address, folder: DataFolder, inherited: Mapping[str, str], secret: str, key: str
) -> dict[str, str]:
    prefix = name.upper()
    defaults = {
        "IMTS_ARTIFACTS_URL": str(folder.artifacts),
        "ORCHESTRATOR_DATABASE_URL": _sqlite(folder, "orchestrator", "imts.db"),
        "STREAM_DATABASE_URL": _sqlite(folder, "stream", "imts_stream.db"),
        f"{prefix}_PUBLIC_URL": address.public_url(name),
    }
    peers = {f"ORCHESTRATOR_{worker.upper()}_URL": address.url(worker) for worker in _WORKERS}
    fixed = {
        "IMTS_SERVICE_SECRET": secret,
        "IMTS_API_KEY": key,
        "IMTS_ORCHESTRATOR_URL": address.url("orchestrator"),
        "IMTS_STREAM_URL": address.url("stream"),
        f"{prefix}_HOST": address.host,
        f"{prefix}_PORT": str(address.port(name)),
        f"{prefix}_DATA_DIR": str(folder.service(name)),
    }
    kept = {variable: value for variable, value in inherited.items() if variable not in _NOT_FOR_SERVICES}
    return {**defaults, **kept, **peers, **fixed}


def mesh(
    address: Address, folder: DataFolder, inherited: Mapping[str, str], secret: str, key: str
) -> tuple[Command, ...]:
    """The services in the order they start: what the others call comes first."""
    ranks = {"stream": 2, "orchestrator": 0, "training": 1, "analyzer": 1, "evaluator": 1}
    return tuple(
        Command(
            name=name,
            argv=(sys.executable, "-m", "orchestrator" if name == "orchestrator" else f"services.{name}"),
            environ=_environment(name, address, folder, inherited, secret, key),
            host=address.host,
            port=address.port(name),
            stop_rank=rank,
            has_jobs=name in _WORKERS,
        )
        for name, rank in ranks.items()
    )
