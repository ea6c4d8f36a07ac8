"""`imts watch`: a job's live bars and figures."""

import typer
from rich.console import Console

from imts.cli.connecting import connect
from imts.cli.live import follow
from imts.cli.output import AsJson, JobArgument, print_json
from imts.client import Client
from shared.contracts.events import PHASE_CHANGED, RUN_FINISHED
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


def watch(job: JobArgument, as_json: AsJson = False) -> None:
    """Watch a job live until it has ended. With --json: one event a line."""
    with connect() as client:
        watch_job(client, job, as_json=as_json)
