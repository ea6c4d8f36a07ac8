"""Bring a mesh up on a data folder: keys, commands, supervision, and where to find it."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from setproctitle import setproctitle

from imts.remembered import remember
from imts.up import keys
from imts.up.commands import Address, mesh
from imts.up.folder import DataFolder, write_private
from imts.up.lock import held
from imts.up.supervisor import Hooks, Supervisor
from imts.up.watched import Say


@dataclass(frozen=True)
class UpOptions:
    """What a person says to `imts up`."""

    data_dir: Path
    host: str = "127.0.0.1"
    port_offset: int = 0
    grace_s: float = 120.0
    """How long services may take to checkpoint and end."""
    ready_file: Path | None = None
    """Written, as JSON, once the mesh answers."""
    is_remembered: bool = True
    """Whether the command line of this user finds this mesh by itself."""


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=1.0, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _announce(options: UpOptions, address: Address, folder: DataFolder, say: Say) -> None:
    say("IMTS is up")
    for name in ("orchestrator", "training", "analyzer", "evaluator", "stream"):
        say(f"  {name:<13}{address.public_url(name)}/docs")
    if sys.stdout.isatty():
        # A person reads it off the screen; a log is no place for it.
        say(f"  API key      {folder.key_file.read_text(encoding='utf-8').strip()}")
    say(f"  key file     {folder.key_file}")
    say(f"  logs in      {folder.log('orchestrator').parent}")
    if options.is_remembered:
        remember(address.url("orchestrator"), folder)
    if options.ready_file:
        facts = {
            "url": address.url("orchestrator"), "stream_url": address.url("stream"),
            "key_file": str(folder.key_file), "data_dir": str(folder.root), "pid": os.getpid(),
        }  # fmt: skip
        write_private(options.ready_file, json.dumps(facts) + "\n")


def bring_up(options: UpOptions, environ: Mapping[str, str], say: Say) -> None:
    """Run the mesh until SIGTERM or SIGINT; raises CannotStart when it cannot begin."""
    setproctitle("imts:up")
    folder = DataFolder(options.data_dir.absolute())
    address = Address(options.host, options.port_offset)
    folder.make()
    with held(folder):
        key = keys.admin_key(folder, environ.get("IMTS_API_KEY", ""))
        commands = mesh(address, folder, environ, keys.service_secret(folder), key)
        hooks = Hooks(
            is_ready=lambda: _answers(address.url("orchestrator")),
            on_ready=lambda: _announce(options, address, folder, say),
            say=say,
        )
        try:
            Supervisor(commands, folder, hooks, options.grace_s).run()
        finally:
            if options.ready_file:
                options.ready_file.unlink(missing_ok=True)
