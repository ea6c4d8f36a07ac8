"""The data folder: there, private, with room, and held by whom it says."""

import fcntl
import os
import shutil
from collections.abc import Iterator

from imts.up.commands import PORTS
from imts.up.folder import DataFolder
from imts.up.process import Process
from shared.contracts.checkup import Finding, broken, doubtful, fine

_GB = 1_000_000_000
_LEAST_FREE, _FEW_FREE = 1 * _GB, 10 * _GB


def is_up(folder: DataFolder) -> bool:
    """Whether an `imts up` holds the folder."""
    if not folder.lock.is_file():
        return False
    with folder.lock.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def look(folder: DataFolder) -> Iterator[Finding]:
    """Everything about the folder itself."""
    yield fine("data folder", f"is {folder.root}")
    yield _privacy(folder)
    yield _writable(folder)
    yield _room(folder)
    yield _holder(folder)
    yield from _markers(folder)


def _privacy(folder: DataFolder) -> Finding:
    private = [path for path in (folder.root, folder.key_file, folder.secret_file, folder.lock) if path.exists()]
    open_ones = [path for path in private if path.stat().st_mode & 0o077]
    if not open_ones:
        return fine("permissions", "keys are for their owner only")
    names = " ".join(str(path) for path in open_ones)
    return broken("permissions", "other users of this machine can get at the keys", f"chmod go-rwx {names}")


def _writable(folder: DataFolder) -> Finding:
    shut = [
        path for path in (folder.root, folder.artifacts) if path.exists() and not os.access(path, os.W_OK | os.X_OK)
    ]
    if shut:
        return broken("ownership", f"{shut[0]} cannot be written by this user", "run as the user who owns the folder")
    return fine("ownership", "this user can write")


def _room(folder: DataFolder) -> Finding:
    usage = shutil.disk_usage(folder.root)
    says = f"{usage.free / _GB:.1f} GB of {usage.total / _GB:.0f} GB are free"
    action = "free some: old backups, models and jobs take most; a checkpoint that does not fit fails its job"
    if usage.free < _LEAST_FREE:
        return broken("disk", says, action)
    return doubtful("disk", says, action) if usage.free < _FEW_FREE else fine("disk", says)


def _holder(folder: DataFolder) -> Finding:
    living = [name for name in PORTS if Process.find(folder.record(name)) is not None]
    if is_up(folder):
        pid = folder.lock.read_text(encoding="utf-8").strip()
        missing = sorted(set(PORTS) - set(living))
        if missing:
            return doubtful(
                "mesh",
                f"`imts up` (pid {pid}) runs, without {', '.join(missing)}",
                "see their logs; it starts them again",
            )
        return fine("mesh", f"is up (pid {pid}), with all five services")
    if living:
        says = f"{', '.join(living)} run on without `imts up`"
        return doubtful("mesh", says, "start `imts up` on this folder: it takes them over, jobs and all")
    return doubtful("mesh", "is down", "start it with `imts up`")


def _markers(folder: DataFolder) -> Iterator[Finding]:
    for name in PORTS:
        if folder.drain_marker(name).exists() and is_up(folder):
            yield doubtful(
                f"{name} drain marker", "is there: at its next SIGTERM its jobs would end too",
                f"remove {folder.drain_marker(name)} unless the mesh is being stopped",
            )  # fmt: skip
