"""`imts up` as shipped, except that its services reach each other through the chaos tests' proxies."""

import json
import os
from collections.abc import Mapping
from dataclasses import replace

import imts.up.run
from imts.cli.app import main
from imts.up.commands import Address, Command
from imts.up.commands import mesh as shipped
from imts.up.folder import DataFolder

ROUTES = "CHAOS_ROUTES"
"""JSON in the environment: the proxy's port for each service."""
_PEERS = {
    "ORCHESTRATOR_TRAINING_URL": "training", "ORCHESTRATOR_ANALYZER_URL": "analyzer",
    "ORCHESTRATOR_EVALUATOR_URL": "evaluator", "IMTS_ORCHESTRATOR_URL": "orchestrator", "IMTS_STREAM_URL": "stream",
}  # fmt: skip


def _through_proxies(
    address: Address, folder: DataFolder, inherited: Mapping[str, str], secret: str, key: str
) -> tuple[Command, ...]:
    ports = json.loads(inherited[ROUTES])
    peers = {variable: f"http://127.0.0.1:{ports[name]}" for variable, name in _PEERS.items()}
    commands = shipped(address, folder, inherited, secret, key)
    return tuple(replace(command, environ={**command.environ, **peers}) for command in commands)


if __name__ == "__main__":
    assert os.environ[ROUTES]
    setattr(imts.up.run, "mesh", _through_proxies)  # noqa: B010 - the module does not export it
    main()
