"""`imts logs`: what a job's engine printed."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, JobArgument, print_json
from imts.client import Client
from shared.contracts.jobs import TERMINAL, LogPage

_POLL_S = 0.5


def pages(client: Client, job_id: str, attempt: int | None, *, is_followed: bool) -> Iterator[LogPage]:
    """An attempt's output from its start; followed, it goes on into later attempts until the job has ended."""
    offset = 0
    while True:
        # Asked first: output is complete only if it was read after the job had ended.
        job = client.jobs.get(job_id)
        page = client.jobs.logs(job_id, attempt=attempt, offset=offset)
        if page.text:
            yield page
        if page.next_offset > offset:
            attempt, offset = page.attempt, page.next_offset
        elif not is_followed or (job.status in TERMINAL and page.attempt >= job.attempt):
            return
        elif page.is_complete and job.attempt > page.attempt:
            attempt, offset = page.attempt + 1, 0
        else:
            time.sleep(_POLL_S)


def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    attempt: Annotated[int | None, typer.Option(help="Of this attempt; of the newest if absent.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a job's output. With --json: one page a line."""
    with connect() as client:
        for page in pages(client, job, attempt, is_followed=follow):
            if as_json:
                print_json(page)
            else:
                sys.stdout.write(page.text)
                sys.stdout.flush()
