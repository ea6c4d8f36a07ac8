"""`imts workers`: who runs jobs, and taking one out."""

from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, Yes, print_json, print_table
from shared.contracts.devices import DeviceKind
from shared.contracts.workers import WorkerView

workers = typer.Typer(no_args_is_help=True, help="List the workers; drain, forget or admit one.")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A worker's name, as `imts workers list` tells it.")]


def _room(worker: WorkerView) -> str:
    return "does not answer" if worker.is_silent else f"{worker.free} of {worker.slots} free"


def _devices(worker: WorkerView) -> str:
    """Such as `2 cuda, 150.1 of 159.0 GB free`; the processor only where there is nothing else."""
    told = [device for device in worker.devices if device.kind is not DeviceKind.CPU] or worker.devices
    if not told:
        return ""
    free, total = (sum(sizes) / 1e9 for sizes in zip(*((one.free_bytes, one.total_bytes) for one in told), strict=True))
    return f"{len(told)} {told[0].kind}, {free:.1f} of {total:.1f} GB free"


def _show(worker: WorkerView, *, as_json: bool) -> None:
    if as_json:
        print_json(worker)
    else:
        print(f"{worker.name} is {worker.state}: {worker.at_work} jobs at work, {_room(worker)}")


@workers.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List every worker, what it has and how it answers."""
    with connect() as client:
        found = client.workers.list()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name, one.service or "in no settings", one.state, one.at_work, _room(one), one.spares, _devices(one),
            one.changed_by,
        )
        for one in found.data
    ]  # fmt: skip
    print_table(("worker", "service", "state", "at work", "room", "spares", "devices", "changed by"), rows)


@workers.command()
def drain(name: Name, as_json: AsJson = False) -> None:
    """Start nothing new there; what runs there finishes."""
    with connect() as client:
        _show(client.workers.drain(name), as_json=as_json)


@workers.command()
def forget(
    name: Name,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Count a worker as gone for good: its attempts are lost, and new ones start elsewhere.

    If it comes back, what it writes is refused and it stops by itself; `imts workers admit` lets it work again.
    """
    with connect() as client:
        found = next((one for one in client.workers.list().data if one.name == name), None)
        if found is not None and not found.is_silent and not yes:
            typer.confirm(f"{name} answers, and has {found.at_work} jobs at work. Lose them?", abort=True, err=True)
        _show(client.workers.forget(name), as_json=as_json)


@workers.command()
def admit(name: Name, as_json: AsJson = False) -> None:
    """Take a drained or forgotten worker back."""
    with connect() as client:
        _show(client.workers.admit(name), as_json=as_json)
