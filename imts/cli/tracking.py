"""`imts bridge tensorboard` and `imts sync`: runs of other trainers."""

from pathlib import Path
from typing import Annotated

import typer

from imts.client.errors import ClientError
from imts.tensorboard.bridge import Bridge
from imts.tracking import start
from imts.tracking.resending import resend

bridge = typer.Typer(no_args_is_help=True, help="Show what other tools write as a run.")


@bridge.command()
def tensorboard(
    folder: Annotated[Path, typer.Argument(help="A TensorBoard log folder; new files in it are picked up")],
    name: Annotated[str, typer.Option(help="The run's name; the folder's when none is given")] = "",
    project: Annotated[str, typer.Option(help="What the run belongs to")] = "default",
    until_quiet: Annotated[
        float | None, typer.Option(help="End when nothing was written for so many seconds; never when not given")
    ] = None,
) -> None:
    """Follow a TensorBoard log folder, live; Ctrl-C ends the run."""
    if not folder.is_dir():
        raise ClientError(f"{folder} is not a folder")
    with start(name=name or folder.resolve().name, project=project, config={"source": "tensorboard"}) as run:
        print(run.run_id, flush=True)
        count = Bridge(folder, run).follow(until_quiet)
    print(f"{count} scalars")


def sync() -> None:
    """Send the runs that dead processes, or a server that was away, left on this machine."""
    done = resend()
    print(f"{done.runs} runs sent, {done.events} events")
    if done.underway:
        print(f"{done.underway} runs are still written, or sent by a process of their own")
    if done.waiting:
        raise ClientError(f"{done.waiting} runs still wait: {done.why}")
