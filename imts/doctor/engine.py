"""What the engines need, looked for without importing it: torch takes seconds."""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from imts.client import Client
from imts.client.errors import ClientError
from shared.contracts.checkup import Finding, broken, doubtful, fine
from shared.contracts.workers import WorkerState

_NEEDED = ("torch", "llamafactory", "transformers", "peft")


def look() -> Iterator[Finding]:
    """The packages, in the environment that `imts up` would start engines in."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        yield broken("engine", f"{', '.join(missing)} cannot be imported", "install the `engine` extra: `make setup`")
        return
    yield fine("engine", ", ".join(f"{name} {_version(name)}" for name in _NEEDED[:2]))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def look_at_workers(client: Client) -> Iterator[Finding]:
    """Room, rulings and warm spares, as the orchestrator knows them."""
    try:
        workers = client.workers.list().data
    except ClientError as fault:
        yield broken("workers", f"cannot be listed: {fault}", "see the orchestrator's state, and IMTS_API_KEY")
        return
    for worker in workers:
        name = f"worker {worker.name}"
        if worker.state is not WorkerState.ACTIVE:
            yield doubtful(name, f"is {worker.state}", f"`imts workers admit {worker.name}` lets it work again")
        elif worker.is_silent:
            action = f"if its host is gone for good: `imts workers forget {worker.name}`"
            yield doubtful(name, f"does not answer; {worker.at_work} jobs are there", action)
        elif worker.service == "training" and not worker.spares:
            says = f"{worker.free} of {worker.slots} slots free, no warm spare"
            yield doubtful(name, says, "wait a minute for one; with TRAINING_SPARES=0 every job pays for its imports")
        else:
            yield fine(name, f"{worker.free} of {worker.slots} slots free, {worker.spares} warm spares")
