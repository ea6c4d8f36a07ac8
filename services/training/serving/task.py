"""What the service tells its serving engine at start, as the process's argument."""

from shared.contracts.base import WireModel


class Task(WireModel):
    """How to serve, and for whom."""

    artifacts_url: str
    cache: str
    parent: int
    """The service's process: the engine ends with it."""
    most_rows: int
    most_tokens: int
    idle_s: float
    capacity: int
    """In bytes; 0 leaves it to the engine, which can ask the GPU."""
    most_by_default: int
    """What it may take where there is no GPU to ask."""
