"""`python -m orchestrator.backup save|save-with-artifacts|check|load FOLDER`: the orchestrator's part of a backup."""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from orchestrator.db.engine import MIGRATIONS
from orchestrator.db.restored import settle
from orchestrator.settings import OrchestratorSettings
from orchestrator.wiring import SERVICE
from shared.kit.artifact_copies import Reference, copy_in, copy_out, count_absent, write_reference
from shared.kit.artifacts import ArtifactStore
from shared.kit.backup import Keeper, file_of, read_part, run, write_part
from shared.kit.dump import Scalar
from shared.kit.settings import load_settings

LISTING = "artifacts.jsonl.gz"


def referred(table: str, row: Mapping[str, Scalar]) -> Iterator[Reference]:
    """What a row of the database names in the artifact store."""
    if table == "dataset_versions":
        yield Reference(str(row["sha256"]), is_tree=False)
        if row.get("images") is not None:
            yield Reference(str(row["images"]), is_tree=True)
    elif table == "model_versions":
        for column in ("base", "adapter"):
            if row[column] is not None:
                yield Reference(str(row[column]), is_tree=True)
    elif table == "attempts" and row["exit"] is not None:
        for artifact in json.loads(str(row["exit"])).get("artifacts", []):
            yield Reference(artifact["sha256"], artifact.get("is_tree", False))


class OrchestratorBackup:
    """The database, and the artifacts that it refers to."""

    def __init__(self, settings: OrchestratorSettings) -> None:
        self._keeper = Keeper(SERVICE, MIGRATIONS, settings.database, settle)
        self._store = ArtifactStore(settings.artifacts, cache=settings.data_dir / "cache")

    def save(self, folder: Path) -> None:
        """Database and tree manifests; files stay where they are, by reference."""
        self._save(folder, with_files=False)

    def save_with_artifacts(self, folder: Path) -> None:
        """Every file that the database refers to as well."""
        self._save(folder, with_files=True)

    def _save(self, folder: Path, *, with_files: bool) -> None:
        with gzip.GzipFile(folder / LISTING, "wb", mtime=0) as lines:

            def note(table: str, row: Mapping[str, Scalar]) -> None:
                for found in referred(table, row):
                    write_reference(lines, found)

            part = self._keeper.save(folder, note)
        count = copy_out(self._store, folder / LISTING, folder, with_files=with_files)
        files = [*part.files, file_of(folder, LISTING)]
        write_part(folder, part.model_copy(update={"files": files, "artifacts": count}))

    def check(self, folder: Path) -> None:
        """Whether `load` can begin."""
        self._keeper.check(read_part(folder, SERVICE))

    def load(self, folder: Path) -> None:
        """Artifacts first: rows must not refer to what is still on its way."""
        part = read_part(folder, SERVICE)
        copy_in(folder, part.artifacts.copied if part.artifacts else 0, self._store)
        self._keeper.load(folder, part)
        absent = count_absent(folder / LISTING, self._store)
        if absent:
            print(f"{absent} files and folders are not in the artifact store; jobs that need them will say so")


def main() -> None:
    """Carry out one verb on the database that the settings name."""
    backup = OrchestratorBackup(load_settings(OrchestratorSettings))
    verbs = {"save": backup.save, "save-with-artifacts": backup.save_with_artifacts}
    run({**verbs, "check": backup.check, "load": backup.load})


if __name__ == "__main__":
    main()
