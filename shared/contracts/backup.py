"""What a backup says about itself: which parts it has, at which schema, and the hash of every file."""

from datetime import datetime
from typing import Literal

from shared.contracts.base import Int, Sha256, WireModel

MANIFEST = "manifest.json"
MANIFEST_HASH = "manifest.json.sha256"
"""Written last, as `sha256sum -c` reads it: a backup without it is not whole."""
ARTIFACTS = "artifacts"
"""The folder of copied artifacts: tree manifests always, files when asked for."""


class BackupFile(WireModel):
    """A file of the backup; `path` is relative to the manifest."""

    path: str
    sha256: Sha256
    size: Int


class ArtifactCount(WireModel):
    """What the backup holds of the artifact store."""

    referenced: Int
    """Files and folders that the database names; one named twice counts twice."""
    copied: Int
    """Files in the backup."""
    missing: Int
    """Named by the database, absent from the store already."""


class BackupPart(WireModel):
    """One service's database."""

    service: str
    revision: str
    """Of the schema."""
    database: str
    """The kind it was saved from; it loads into any."""
    taken_at: datetime
    rows: dict[str, int]
    """By table."""
    files: list[BackupFile]
    artifacts: ArtifactCount | None = None


class BackupManifest(WireModel):
    """The whole backup."""

    format: Literal[1] = 1
    version: str
    """Of IMTS."""
    made_at: datetime
    with_artifacts: bool
    parts: list[BackupPart]
