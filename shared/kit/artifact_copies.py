"""Artifacts that a database refers to, copied into a backup and back."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from shared.contracts.backup import ARTIFACTS, ArtifactCount
from shared.kit.artifacts import ArtifactStore
from shared.kit.dump import DumpRefused
from shared.kit.errors import NotFound


@dataclass(frozen=True, slots=True)
class Reference:
    """What a row names: a file, or the manifest of a folder."""

    sha256: str
    is_tree: bool


def write_reference(lines: gzip.GzipFile, found: Reference) -> None:
    """One more line of the list."""
    lines.write(json.dumps([found.sha256, found.is_tree]).encode() + b"\n")


def references(listing: Path) -> Iterator[Reference]:
    """The list read back, a line at a time: it may be long."""
    with gzip.open(listing, "rb") as lines:
        for line in lines:
            sha256, is_tree = json.loads(line)
            yield Reference(sha256, is_tree)


def copy_out(store: ArtifactStore, listing: Path, folder: Path, *, with_files: bool) -> ArtifactCount:
    """Copy the manifests of all folders on the list, and with `with_files` every file, below `folder`."""
    copies = ArtifactStore(str(folder / ARTIFACTS), cache=folder)
    referenced = copied = missing = 0

    def copy(sha256: str) -> None:
        nonlocal copied, missing
        if copies.has(sha256):
            return
        try:
            stored = copies.put_file(store.local_path(sha256))
        except NotFound:
            missing += 1
            return
        if stored.sha256 != sha256:
            raise DumpRefused(f"artifact {sha256} is damaged in the store: its content has hash {stored.sha256}")
        copied += 1

    for found in references(listing):
        referenced += 1
        if found.is_tree:
            copy(found.sha256)
            for item in copies.tree(found.sha256) if with_files and copies.has(found.sha256) else []:
                copy(item.sha256)
        elif with_files:
            copy(found.sha256)
    return ArtifactCount(referenced=referenced, copied=copied, missing=missing)


def copy_in(folder: Path, expected: int, store: ArtifactStore) -> None:
    """Put every copied file into the store; refused when one is damaged or lacks."""
    found = 0
    for path in (folder / ARTIFACTS).glob("sha256/*/*"):
        if store.put_file(path).sha256 != path.name:
            raise DumpRefused(f"the backup is damaged: {path.name} is not what its name says")
        found += 1
    if found != expected:
        raise DumpRefused(f"the backup is damaged: it has {found} artifact files of {expected}")


def count_absent(listing: Path, store: ArtifactStore) -> int:
    """How many files and folders on the list the store does not hold."""
    return sum(not store.has(found.sha256) for found in references(listing))
