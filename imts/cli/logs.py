"""`imts logs`: what a job's engine printed."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, JobArgument, harmless, print_json
from imts.client import Client
from imts.client.errors import ClientError
from shared.contracts.jobs import TERMINAL, LogPage
from shared.contracts.log_lines import LogLevel

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


def _print_lines(
    client: Client, job_id: str, attempt: int | None, search: str, level: LogLevel, *, as_json: bool
) -> None:
    offset, has_more = 0, True
    while has_more:
        page = client.jobs.log_lines(job_id, search=search, level=level.value, attempt=attempt, offset=offset)
        has_more, offset, attempt = page.next_offset > offset and not page.is_complete, page.next_offset, page.attempt
        if as_json:
            print_json(page)
        else:
            for line in page.data:
                print(f"{line.level:7} {line.offset:>10} {harmless(line.text)}")


def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    attempt: Annotated[int | None, typer.Option(help="Of this attempt; of the newest if absent.")] = None,
    search: Annotated[str, typer.Option(help="Only lines that say this, in any case.")] = "",
    level: Annotated[LogLevel | None, typer.Option(help="Only lines that matter at least so much.")] = None,
    as_json: AsJson = False,
) -> None:
    """Print a job's output, or the lines of it that --search and --level choose. With --json: one page a line."""
    if (search or level) and follow:
        raise ClientError("--follow prints everything; leave out --search and --level")
    with connect() as client:
        if search or level:
            _print_lines(client, job, attempt, search, level or LogLevel.DEBUG, as_json=as_json)
            return
        for page in pages(client, job, attempt, is_followed=follow):
            if as_json:
                print_json(page)
            else:
                sys.stdout.write(harmless(page.text))
                sys.stdout.flush()
