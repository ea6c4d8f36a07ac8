"""What commands print: tables for people, JSON for programs, and never both."""

import json
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable JSON on stdout, and nothing else there.")]
_COMMANDS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, as `imts jobs` lists it.")]


def print_json(shape: BaseModel) -> None:
    """One JSON document on one line."""
    print(shape.model_dump_json(), flush=True)


def print_json_object(facts: dict[str, object]) -> None:
    """One JSON document on one line."""
    print(json.dumps(facts, ensure_ascii=False), flush=True)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table without frames, so that it reads the same in a pipe."""
    console = Console()
    if not rows:
        console.print("none yet")
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        # As text: rich would take what stands in brackets for its own markup.
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    if not console.is_terminal:
        # A pipe has no width to fit into; cutting ids short would break who reads them.
        console = Console(width=max(80, console.measure(table, options=console.options.update(width=10_000)).maximum))
    console.print(table)


def harmless(text: str) -> str:
    """`text` that may be shown on a terminal: what a model or a data set says must not move its cursor or its title."""
    return _COMMANDS.sub("\ufffd", text) if sys.stdout.isatty() else text


def shown(moment: datetime | None) -> str:
    """A time for people, in their own zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""
