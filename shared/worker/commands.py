"""What was asked of a job while it ran, in order: appended by its worker, read by its engines (standard library only).

One file a job, because what a command changed holds for the attempts after it as well.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.kit.files import fsync
from shared.worker.journal import cut_torn_line

NAME = "commands.jsonl"
"""In the folder that a job's attempts share."""


def append_command(path: Path, command: Mapping[str, Any]) -> bool:
    """Write a command down for good; false when it was before. Callers take turns."""
    cut_torn_line(path)
    if any(known["command_id"] == command["command_id"] for known in read_commands(path)):
        return False
    with path.open("a") as stream:
        stream.write(json.dumps(command) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    fsync(path.parent)
    return True


def read_commands(path: Path) -> list[dict[str, Any]]:
    """Every whole command, oldest first."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
