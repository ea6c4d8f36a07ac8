"""Where everything lies in the data folder of `imts up`."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from imts.up.faults import CannotStart


def write_private(path: Path, content: str) -> None:
    """Replace a file in one step; only its owner may read it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class DataFolder:
    """The paths of one mesh; `imts up` is the only process that makes them."""

    root: Path

    @property
    def lock(self) -> Path:
        return self.root / "up.lock"

    @property
    def key_file(self) -> Path:
        """The admin key, for people and the command line."""
        return self.root / "admin.key"

    @property
    def secret_file(self) -> Path:
        """What the services sign their tokens with."""
        return self.root / "secrets" / "service.secret"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def service(self, name: str) -> Path:
        """A service's own folder."""
        return self.root / name

    def log(self, name: str) -> Path:
        return self.root / "logs" / f"{name}.log"

    def record(self, name: str) -> Path:
        """Which process a service is, for the next `imts up` to find it."""
        return self.root / "run" / f"{name}.json"

    def drain_marker(self, name: str) -> Path:
        """While this file is there, SIGTERM tells a worker to checkpoint and end its jobs too."""
        return self.service(name) / "drain"

    def make(self) -> None:
        """Make what is missing; other users of the machine are kept out."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in (self.secret_file.parent, self.artifacts, self.root / "logs", self.root / "run"):
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError as fault:
            raise CannotStart(
                f"{self.root} cannot be the data folder ({fault.strerror}); name another with --data-dir"
            ) from None
