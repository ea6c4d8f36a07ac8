"""The services' own save and load commands, run with the environment that the services themselves have."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imts.backup.faults import BackupFault
from imts.up.commands import Address, mesh
from imts.up.folder import DataFolder
from imts.up.keys import service_secret

MODULES = {"stream": "services.stream.backup", "orchestrator": "orchestrator.backup"}
"""In the order in which they are saved: the log first, so that the orchestrator's database never knows less."""
_NEEDED = ("IMTS_SERVICE_SECRET", "ORCHESTRATOR_DATABASE_URL", "STREAM_DATABASE_URL")


@dataclass(frozen=True)
class Services:
    """How to reach the two services that have a database."""

    environments: Mapping[str, Mapping[str, str]]

    def run(self, service: str, verb: str, folder: Path) -> str:
        """What the command says; BackupFault with its sentence when it refuses."""
        argv = (sys.executable, "-m", MODULES[service], verb, str(folder))
        done = subprocess.run(
            argv, env=dict(self.environments[service]), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            lines = done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"]
            raise BackupFault(f"{service}: {lines[-1]}")
        return done.stdout.strip()


def find_services(folder: DataFolder, environ: Mapping[str, str], *, is_new: bool = False) -> Services:
    """Those of a data folder; where the environment names databases and secret, as in a container, those."""
    if all(environ.get(name) for name in _NEEDED):
        return Services(dict.fromkeys(MODULES, environ))
    if not is_new and not folder.root.is_dir():
        raise BackupFault(
            f"there is no mesh in {folder.root}: name its folder with --data-dir, or set {', '.join(_NEEDED)}"
        )
    folder.make()
    commands = mesh(Address("127.0.0.1", 0), folder, environ, service_secret(folder), "")
    for name in MODULES:
        folder.service(name).mkdir(exist_ok=True, mode=0o700)
    return Services({command.name: command.environ for command in commands if command.name in MODULES})
