"""`imts watch`: a job's live bars and figures, or how a project's jobs come and go."""

from typing import Annotated

import typer
from rich.console import Console

from imts.cli.connecting import connect
from imts.cli.live import follow
from imts.cli.output import AsJson, print_json
from imts.client import Client
from shared.contracts.events import PHASE_CHANGED, RUN_FINISHED, RUN_STARTED, Event
from shared.contracts.jobs import Phase


def watch_job(client: Client, job_id: str, *, as_json: bool) -> None:
    """Show a job until it has ended; exit code 1 unless it succeeded."""
    if as_json:
        status = ""
        for event in client.watch(job_id):
            print_json(event)
            if event.event_type == PHASE_CHANGED:
                status = str(event.data.get("to"))
            elif event.event_type == RUN_FINISHED:
                status = str(event.data.get("status"))
    else:
        if not job_id.startswith("run-"):
            client.jobs.get(job_id)  # An id that is not there must not look like a job about to begin.
        status = follow(client.watch(job_id), job_id, Console())
    if status != Phase.SUCCEEDED:
        raise typer.Exit(1)


def _sentence(event: Event) -> str:
    """A project's news in words."""
    data = event.data
    if event.event_type == RUN_STARTED:
        words = "started", data.get("name")
    else:
        words = str(data.get("to") or data.get("status") or event.event_type), data.get("why")
    said = ": ".join(str(word) for word in words if word)
    return f"{data.get('job_id') or ''} {said}".strip()


def _watch_project(client: Client, project: str, *, as_json: bool) -> None:
    console = Console()
    for event in client.watch_project(project):
        if as_json:
            print_json(event)
        else:
            console.print(_sentence(event), markup=False, highlight=False, soft_wrap=True)


def watch(
    job: Annotated[str | None, typer.Argument(metavar="JOB", help="A job's id, as `imts jobs` lists it.")] = None,
    project: Annotated[str | None, typer.Option("--project", help="Every job and run of this project.")] = None,
    as_json: AsJson = False,
) -> None:
    """Watch a job live until it has ended, or a project's jobs for ever. With --json: one event a line."""
    if (job is None) == (project is None):
        raise typer.BadParameter("name either a JOB or a --project")
    with connect() as client:
        if job is not None:
            watch_job(client, job, as_json=as_json)
        elif project is not None:
            _watch_project(client, project, as_json=as_json)
