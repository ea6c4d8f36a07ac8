"""`imts plan`: what a training would take, before it is submitted."""

import typer

from imts.cli.connecting import connect
from imts.cli.fields import Fields, JobFile, read_fields
from imts.cli.output import AsJson, print_json, print_table
from shared.contracts.plans import TrainingPlan
from shared.contracts.training import TrainingSpec


def plan(fields: Fields = None, file: JobFile = None, as_json: AsJson = False) -> None:
    """Tell what a training would take, with the fields of `imts train`; exit code 1 if it would fail or not fit."""
    spec = read_fields(TrainingSpec, fields, file)
    with connect() as client:
        found = client.jobs.plan(spec)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if not found.allowed_to_proceed:
        raise typer.Exit(1)


def _show(found: TrainingPlan) -> None:
    print_table(("", ""), _rows(found))
    for warning in found.warnings:
        print(f"{'error' if warning.is_fatal else 'warning'}: {warning.message}")
    for other in found.alternatives:
        changes = " ".join(f"{name}={value}" for name, value in other.changes.items())
        print(f"would fit, at {other.peak:.2f} GiB: {changes}")


def _rows(found: TrainingPlan) -> list[tuple[str, str]]:
    rows = [
        ("trained weights", f"{found.trainable_parameters:,} of {found.parameters:,}"),
        ("rows", f"{found.rows:,}"),
        ("steps", f"{found.steps:,}"),
    ]
    if tokens := found.tokens:
        rows.append(("tokens an epoch", f"{tokens.total:,}; the longest row has {tokens.longest:,}"))
    if memory := found.memory:
        rows.append(("memory", f"{memory.peak:.2f} of {memory.limit:.2f} GiB ({memory.device})"))
    if duration := found.duration:
        rows.append(("time", f"{duration.seconds:,.0f} s, by {duration.basis}"))
    if advice := found.recommended:
        accumulation = f"gradientAccumulationSteps={advice.gradient_accumulation_steps}"
        rows.append(("largest batch", f"batchSize={advice.batch_size} {accumulation}"))
    return rows
