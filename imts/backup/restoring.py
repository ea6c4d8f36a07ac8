"""Restoring: everything is checked before anything is written, and only empty databases are filled."""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from imts.backup.faults import BackupFault
from imts.backup.services import MODULES, Services
from shared.contracts.backup import MANIFEST, MANIFEST_HASH, BackupManifest

_CHUNK = 1 << 20


def restore(services: Services, source: Path) -> tuple[BackupManifest, list[str]]:
    """Load a backup into empty databases; what the services have to say about it is answered too."""
    with _as_folder(source) as folder:
        manifest = check_whole(folder)
        for verb in ("check", "load"):
            said = [services.run(part.service, verb, folder) for part in manifest.parts]
    return manifest, [sentence for sentence in said if sentence]


def check_whole(folder: Path) -> BackupManifest:
    """The manifest, once every file it names has the hash it names."""
    if not (folder / MANIFEST_HASH).is_file():
        raise BackupFault(f"{folder} is not a whole backup: it has no {MANIFEST_HASH}, which is written last")
    content = _read(folder / MANIFEST)
    if hashlib.sha256(content).hexdigest() != _read(folder / MANIFEST_HASH).decode("ascii", "replace")[:64]:
        raise BackupFault(f"the backup is damaged: {MANIFEST} does not have the hash in {MANIFEST_HASH}")
    try:
        manifest = BackupManifest.model_validate_json(content)
    except ValidationError:
        raise BackupFault("the backup was made by a newer IMTS, whose manifest this one cannot read") from None
    if {part.service for part in manifest.parts} != set(MODULES):
        raise BackupFault("the backup does not hold the parts that this IMTS knows")
    for part in manifest.parts:
        for file in part.files:
            if _hash(folder / file.path) != file.sha256:
                raise BackupFault(f"the backup is damaged: {file.path} does not have the hash in the manifest")
    return manifest


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise BackupFault(f"the backup is damaged: {path.name} cannot be read ({fault.strerror})") from None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    except OSError as fault:
        raise BackupFault(f"the backup is damaged: {path.name} cannot be read ({fault.strerror})") from None
    return digest.hexdigest()


@contextmanager
def _as_folder(source: Path) -> Iterator[Path]:
    """The backup as a folder; a tar is unpacked beside itself for as long as that takes."""
    if source.is_dir():
        yield source
        return
    if not source.is_file():
        raise BackupFault(f"there is no backup at {source}")
    with tempfile.TemporaryDirectory(prefix=f".{source.name}.", dir=source.parent) as unpacked:
        try:
            with tarfile.open(source, mode="r:") as archive:
                archive.extractall(unpacked, filter="data")
        except (tarfile.TarError, EOFError) as fault:
            raise BackupFault(f"{source} is not a whole backup: it cannot be unpacked ({fault})") from None
        yield Path(unpacked)
