"""`imts sweep`: many jobs that differ in some fields, as one."""

import re
from enum import StrEnum
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.fields import Fields, JobFile, read_fields, typed
from imts.cli.jobs import FIELDS_OF
from imts.cli.output import AsJson, print_json, print_table, shown
from imts.client.errors import ClientError
from shared.contracts.base import Contract
from shared.contracts.sweeps import Method, NumberType, Scale, SweepDetail
from shared.contracts.work import JobKind

sweep = typer.Typer(no_args_is_help=True, help="Run many jobs that differ in some fields, as one.")
SweepArgument = Annotated[str, typer.Argument(metavar="SWEEP", help="A sweep's id, as `imts sweep list` tells it.")]


class TrialKind(StrEnum):
    """What a sweep can have many of."""

    TRAINING = "training"
    ANALYSIS = "analysis"
    EVALUATION = "evaluation"


_NUMBER = r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"(?P<min>{_NUMBER}?)\.\.(?P<max>{_NUMBER})(?P<words>(?::[a-z0-9]+)*)")


def _number(text: str) -> int | float:
    try:
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    except ValueError:
        raise ClientError(f"{text!r} is not a number, as in learningRate=1e-5..1e-3") from None


def _range(match: re.Match[str]) -> dict[str, object]:
    ends = _number(match["min"]), _number(match["max"])
    is_whole = all(isinstance(end, int) for end in ends)
    found: dict[str, object] = {"min": ends[0], "max": ends[1], "type": "int" if is_whole else "float"}
    for word in match["words"].split(":")[1:]:
        if word.isdigit():
            found["steps"] = int(word)
        elif word in list(Scale):
            found["scale"] = word
        elif word in list(NumberType):
            found["type"] = word
        else:
            raise ClientError(f"{word!r} says nothing about a range; use log, int, float or a number of steps")
    return found


def parameter(contract: type[Contract], text: str) -> tuple[str, object]:
    """`KEY=V1,V2,…` or `KEY=MIN..MAX[:log][:int][:STEPS]`, its values typed as the field's are."""
    key, equals, values = text.partition("=")
    if not (key and equals and values):
        raise ClientError(f"{text!r} is not KEY=V1,V2 or KEY=MIN..MAX, as in learningRate=1e-5..1e-3:log")
    match = _RANGE.fullmatch(values)
    return key, _range(match) if match else [typed(contract, key, value) for value in values.split(",")]


def _goal(minimize: str | None, maximize: str | None) -> dict[str, object]:
    if minimize and maximize:
        raise ClientError("--minimize or --maximize: a sweep has one objective")
    if not (minimize or maximize):
        return {}
    return {"objective": {"metric": minimize or maximize, "goal": "minimize" if minimize else "maximize"}}


def _show(found: SweepDetail, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    print(f"{found.sweep_id} {found.status}: {found.why}")
    best = found.best.trial if found.best else None
    rows = [
        (
            f"{child.trial}{' best' if child.trial == best else ''}", child.job_id, child.status,
            f"{child.progress:.0%}", "" if child.value is None else f"{child.value:g}",
            " ".join(f"{name}={value}" for name, value in child.parameters.items()),
        )
        for child in found.children
    ]  # fmt: skip
    print_table(("trial", "job", "status", "done", "value", "parameters"), rows)


@sweep.command()
def run(
    fields: Fields = None,
    vary: Annotated[
        list[str] | None, typer.Option(help="KEY=V1,V2 or KEY=MIN..MAX[:log][:int][:STEPS]; once a field.")
    ] = None,
    file: JobFile = None,
    kind: Annotated[TrialKind, typer.Option(help="What each trial is.")] = TrialKind.TRAINING,
    method: Annotated[Method, typer.Option(help="Every combination, or a draw.")] = Method.GRID,
    trials: Annotated[int | None, typer.Option(help="How many a draw has; the most that a grid may have.")] = None,
    seed: Annotated[int, typer.Option(help="Of the draw: the same draws the same.")] = 0,
    parallelism: Annotated[int | None, typer.Option(help="Trials at work at once.")] = None,
    minimize: Annotated[str | None, typer.Option(metavar="FIGURE", help="The least of it is best.")] = None,
    maximize: Annotated[str | None, typer.Option(metavar="FIGURE", help="The most of it is best.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    project: str = "default",
    key: Annotated[str | None, typer.Option("--idempotency-key", help="Twice the same key is one sweep.")] = None,
    as_json: AsJson = False,
) -> None:
    """Start one, as in: imts sweep run modelName=tiny dataset=sums --vary epochs=1,2 --minimize train_loss"""
    contract = FIELDS_OF[JobKind(kind)]
    asked: dict[str, object] = {
        "job": {"kind": kind.value, **read_fields(contract, fields, file)},
        "parameters": dict(parameter(contract, text) for text in vary or []),
        "method": method.value, "maxTrials": trials, "seed": seed, "parallelism": parallelism,
        "name": name, "project": project, **_goal(minimize, maximize),
    }  # fmt: skip
    with connect() as client:
        _show(client.sweeps.create(asked, idempotency_key=key), as_json=as_json)


@sweep.command("list")
def list_all(project: str | None = None, limit: int = 20, as_json: AsJson = False) -> None:
    """List sweeps, newest first."""
    with connect() as client:
        page = client.sweeps.list(project=project, limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [(one.sweep_id, one.name, one.kind, one.status, shown(one.created_at), one.why) for one in page.data]
    print_table(("sweep", "name", "kind", "status", "created", "why"), rows)


@sweep.command()
def show(sweep_id: SweepArgument, as_json: AsJson = False) -> None:
    """A sweep with its trials, and the best of them."""
    with connect() as client:
        _show(client.sweeps.get(sweep_id), as_json=as_json)


@sweep.command()
def stop(sweep_id: SweepArgument, as_json: AsJson = False) -> None:
    """Stop every trial that is not over."""
    with connect() as client:
        _show(client.sweeps.stop(sweep_id), as_json=as_json)
