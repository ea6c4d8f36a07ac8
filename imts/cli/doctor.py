"""`imts doctor`: what is wrong with a mesh, and what to do about it."""

import os
from typing import Annotated

import typer

from imts.cli.backup import DataDir
from imts.cli.output import AsJson, print_json
from imts.doctor.look import look
from imts.remembered import default_data_dir
from imts.up.commands import Address
from imts.up.folder import DataFolder
from shared.contracts.checkup import Findings, Health

_MARKS = {Health.OK: "OK  ", Health.WARN: "WARN", Health.FAIL: "FAIL"}


def doctor(
    data_dir: DataDir = None,
    port_offset: Annotated[int, typer.Option(help="As given to `imts up`; while the mesh is up it is known.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Look at configuration, databases, disk, clocks, services and engines, and say what to do.

    Works while the mesh is down, too. Exit code 1 when something does not work.
    """
    place = DataFolder((data_dir or default_data_dir()).absolute())
    found = Findings(data=list(look(place, Address("127.0.0.1", port_offset), os.environ)))
    if as_json:
        print_json(found)
    else:
        for one in found.data:
            print(f"{_MARKS[one.health]}  {one.name}: {one.says}")
            if one.action:
                print(f"      -> {one.action}")
    if any(one.health is Health.FAIL for one in found.data):
        raise typer.Exit(1)
