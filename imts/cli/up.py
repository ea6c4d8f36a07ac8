"""`imts up`: start the mesh on this machine and keep it running."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from imts.remembered import default_data_dir
from imts.up.faults import CannotStart
from imts.up.run import UpOptions, bring_up


def up(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where everything is kept; IMTS_DATA_DIR, or ~/.local/share/imts, if absent.")
    ] = None,
    port_offset: Annotated[int, typer.Option(help="Added to 8080 and 8001 to 8004.")] = 0,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond loopback everyone near can try keys.")
    ] = "127.0.0.1",
    grace: Annotated[float, typer.Option(help="Seconds that services may take to checkpoint and end.")] = 120.0,
    ready_file: Annotated[Path | None, typer.Option(help="Written as JSON once the mesh answers.")] = None,
    remember: Annotated[bool, typer.Option(help="Let this user's command line find this mesh by itself.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Keep stdout silent; sentences go to stderr.")] = False,
) -> None:
    """Start the five services, restart any that dies, and stop them all on Ctrl-C or SIGTERM."""
    options = UpOptions(
        data_dir=data_dir or default_data_dir(), host=host, port_offset=port_offset, grace_s=grace,
        ready_file=ready_file, is_remembered=remember,
    )  # fmt: skip

    def say(sentence: str) -> None:
        print(sentence, flush=True, file=sys.stderr if quiet else sys.stdout)

    try:
        bring_up(options, os.environ, say)
    except CannotStart as fault:
        typer.echo(f"imts up: {fault}", err=True)
        raise typer.Exit(1) from None
