"""`imts backup` and `imts restore`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from imts.backup.faults import BackupFault
from imts.backup.restoring import restore as restore_backup
from imts.backup.services import find_services
from imts.backup.take import take
from imts.cli.output import AsJson, print_json
from imts.remembered import default_data_dir
from imts.up.faults import CannotStart
from imts.up.folder import DataFolder
from imts.up.lock import held
from shared.contracts.backup import BackupManifest

DataDir = Annotated[Path | None, typer.Option(help="The mesh's folder; IMTS_DATA_DIR, or ~/.local/share/imts.")]


def _folder(data_dir: Path | None) -> DataFolder:
    return DataFolder((data_dir or default_data_dir()).absolute())


def _tell(manifest: BackupManifest, sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json(manifest)
        return
    print(sentence)
    for part in manifest.parts:
        print(f"  {part.service:<13}{sum(part.rows.values())} rows in {len(part.rows)} tables, schema {part.revision}")
        if part.artifacts:
            missing = f"; {part.artifacts.missing} named ones were not in the store" if part.artifacts.missing else ""
            print(f"  {'artifacts':<13}{part.artifacts.copied} files copied{missing}")


def backup(
    target: Annotated[Path, typer.Argument(help="A new folder, or a new file whose name ends with .tar.")],
    data_dir: DataDir = None,
    with_artifacts: Annotated[
        bool, typer.Option("--with-artifacts", help="Copy data sets, models and reports too, not only their lists.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Save both databases and the list of artifacts; the mesh may be running or not.

    Of keys only hashes are in it. The service secret is not: a restored mesh makes a new one.
    """
    try:
        manifest = take(find_services(_folder(data_dir), os.environ), target.absolute(), with_artifacts=with_artifacts)
    except BackupFault as fault:
        typer.echo(f"imts backup: {fault}", err=True)
        raise typer.Exit(1) from None
    _tell(manifest, f"saved to {target}", as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(help="What `imts backup` wrote.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Fill empty databases from a backup; then start the mesh as usual."""
    folder = _folder(data_dir)
    try:
        folder.make()
        with held(folder):
            manifest, said = restore_backup(find_services(folder, os.environ, is_new=True), source.absolute())
    except (BackupFault, CannotStart) as fault:
        typer.echo(f"imts restore: {fault}", err=True)
        raise typer.Exit(1) from None
    for sentence in said:
        typer.echo(sentence, err=True)
    _tell(manifest, f"restored into {folder.root}; `imts up` starts it", as_json=as_json)
