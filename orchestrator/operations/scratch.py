"""Room for files on their way into the artifact store."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Scratch:
    """A folder of this process alone; whatever a crash left in it is swept at the next start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sweep(self) -> None:
        """Begin with an empty folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    @contextmanager
    def room(self) -> Iterator[Path]:
        """An empty folder that is gone after the block, however it ends."""
        room = self._folder / secrets.token_hex(8)
        room.mkdir(parents=True)
        try:
            yield room
        finally:
            shutil.rmtree(room, ignore_errors=True)
