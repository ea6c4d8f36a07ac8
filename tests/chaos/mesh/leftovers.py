"""What a mesh that has ended must not leave behind: processes, and folders of nobody's jobs."""

from collections.abc import Iterator, Set
from pathlib import Path

from tests.chaos.mesh.living import living


def orphan_processes(folder: Path, spared: Set[int]) -> Iterator[str]:
    """Everything that still prints into the run's folder, whatever it is called."""
    for one in living(folder, is_all=True):
        if one.pid not in spared:
            yield f"process {one.pid} lives on: {one.title}"


def orphan_folders(data: Path, known: Set[str]) -> Iterator[str]:
    """Folders of jobs that nobody submitted."""
    for path in data.glob("*/jobs/*"):
        if path.name not in known:
            yield f"{path} belongs to no job"
