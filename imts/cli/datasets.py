"""`imts datasets`: upload and list data sets."""

from pathlib import Path
from typing import Annotated

import typer

from imts.cli.connecting import connect
from imts.cli.output import AsJson, print_json, print_table, shown

datasets = typer.Typer(no_args_is_help=True, help="Upload and list data sets.")


@datasets.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="JSON, JSONL, CSV, Parquet, or a .zip of rows and images.")],
    name: Annotated[str | None, typer.Option(help="The file's name without its ending, if absent.")] = None,
    format: Annotated[  # noqa: A002
        str | None, typer.Option(help="alpaca, sharegpt, messages, preference, kto or text; detected if absent.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file as a new version of a data set."""
    with connect() as client:
        added = client.datasets.add(file, name, format)
    if as_json:
        print_json(added)
    else:
        print(f"{added.name}@{added.version}: {added.rows} rows, {added.format}, {added.dataset_id}")


@datasets.command("list")
def list_all(limit: int = 50, as_json: AsJson = False) -> None:
    """List data sets, newest first."""
    with connect() as client:
        page = client.datasets.list(limit=limit)
    if as_json:
        print_json(page)
        return
    rows = [(item.name, item.version, item.rows, item.format, shown(item.created_at)) for item in page.data]
    print_table(("name", "version", "rows", "format", "added"), rows)
