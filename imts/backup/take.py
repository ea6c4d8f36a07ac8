"""Taking a backup: each service saves its part beside the target, and the manifest's hash makes it whole."""

import hashlib
import os
import secrets
import shutil
import tarfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from imts.backup.faults import BackupFault
from imts.backup.services import MODULES, Services
from shared.contracts.backup import MANIFEST, MANIFEST_HASH, BackupManifest, BackupPart

TAR = ".tar"


def take(services: Services, target: Path, *, with_artifacts: bool) -> BackupManifest:
    """Save into `target`: a tar file when its name ends so, else a folder; it appears only when it is whole."""
    _require_free(target)
    working = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    working.mkdir(parents=True, mode=0o700)
    try:
        manifest = _save_all(services, working, with_artifacts=with_artifacts)
        if target.suffix == TAR:
            _pack(working, target)
        else:
            # An empty folder may be there; rename replaces it.
            os.rename(working, target)
    finally:
        shutil.rmtree(working, ignore_errors=True)
    return manifest


def _require_free(target: Path) -> None:
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists():
        raise BackupFault(f"{target} is there already; a backup is written into a new or empty folder, or a new file")


def _save_all(services: Services, working: Path, *, with_artifacts: bool) -> BackupManifest:
    parts = []
    for name in MODULES:
        is_copying = with_artifacts and name == "orchestrator"
        services.run(name, "save-with-artifacts" if is_copying else "save", working)
        note = working / f"{name}.json"
        parts.append(BackupPart.model_validate_json(note.read_bytes()))
    manifest = BackupManifest(
        version=version("imts"), made_at=datetime.now(UTC), with_artifacts=with_artifacts, parts=parts
    )
    content = manifest.model_dump_json(indent=2).encode() + b"\n"
    _write_durably(working / MANIFEST, content)
    _write_durably(working / MANIFEST_HASH, f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode())
    return manifest


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _pack(folder: Path, target: Path) -> None:
    temporary = folder.with_name(f"{folder.name}{TAR}")
    try:
        with temporary.open("xb") as stream:
            with tarfile.open(fileobj=stream, mode="w") as archive:
                for path in sorted(folder.rglob("*")):
                    archive.add(path, arcname=path.relative_to(folder).as_posix(), recursive=False)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o600)
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
