"""`imts artifacts`: list and fetch what a job left behind."""

from pathlib import Path
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, JobArgument, print_json, print_json_object, print_table
from imts.client.errors import ClientError


def artifacts(
    job: JobArgument,
    get: Annotated[str | None, typer.Option(metavar="NAME", help="Fetch this one.")] = None,
    to: Annotated[Path | None, typer.Option(help="Where to; its own name here if absent.")] = None,
    as_json: AsJson = False,
) -> None:
    """List a job's artifacts, or fetch one."""
    with connect() as client:
        found = client.jobs.artifacts(job)
        if get is None:
            if as_json:
                print_json(found)
            else:
                rows = [
                    (item.name, "folder" if item.is_tree else "file", item.size, item.sha256) for item in found.data
                ]
                print_table(("name", "kind", "bytes", "sha256"), rows)
            return
        wanted = next((item for item in found.data if item.name == get), None)
        if wanted is None:
            raise ClientError(f"{job} has no artifact {get!r}; it has {', '.join(item.name for item in found.data)}")
        path = client.jobs.download(job, wanted, to or Path(Path(get).name))
    if as_json:
        print_json_object({"path": str(path)})
    else:
        print(path)
