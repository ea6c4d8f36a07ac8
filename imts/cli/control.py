"""`imts control`: a running training does something and goes on."""

from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.fields import Fields, read_fields
from imts.cli.output import AsJson, JobArgument, print_json
from shared.contracts.commands import Action, CommandRequest


def control(
    job: JobArgument,
    action: Annotated[Action, typer.Argument(help="What to do now.")],
    fields: Fields = None,
    as_json: AsJson = False,
) -> None:
    """Change a training while it runs, as in: imts control JOB set_learning_rate learningRate=1e-5"""
    with connect() as client:
        given = read_fields(CommandRequest, fields) if fields else {}
        told = client.jobs.control(job, action.value, given)
    if as_json:
        print_json(told)
    elif told.command_id is None:
        print(f"{job} {told.status}")
    else:
        print(f"{job} was told to {action} ({told.command_id}); `imts watch {job}` shows what comes of it")
