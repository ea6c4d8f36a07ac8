"""What a worker asks of the place where its attempts run."""

from typing import Protocol

from shared.worker.folder import AttemptFolder, ControlFile


class Executor(Protocol):
    """Starts attempts and says whether they live; how they ended is in their folders."""

    def start(self, folder: AttemptFolder) -> None:
        """Set processes to work on an attempt; a second start of the same attempt does nothing."""
        ...

    def adopt(self, folder: AttemptFolder) -> bool:
        """Whether the attempt's processes live, whoever started them."""
        ...

    def list(self) -> set[str]:
        """Attempts started here whose processes have not ended yet, be they at work already or not."""
        ...

    def signal(self, folder: AttemptFolder, asked: ControlFile) -> None:
        """Ask the attempt's processes for something."""
        ...

    def bury(self, folder: AttemptFolder) -> None:
        """End what is left of an attempt whose shepherd died."""
        ...

    def spares(self) -> int:
        """Warm pairs that wait."""
        ...

    def upkeep(self, *, is_busy: bool) -> None:
        """Collect ended processes, start missing spares."""
        ...

    def close(self) -> None:
        """Let go of what no attempt uses; attempts run on."""
        ...
