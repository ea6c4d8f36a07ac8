"""The door to fsspec: a content-addressed store for data sets, models, adapters and reports."""

import json
import os
import secrets
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import fsspec

from shared.kit.errors import NotFound, ServerFault
from shared.kit.files import sha256_of, write_atomic


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored file: SHA-256 in hex and size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of a stored folder; `path` is relative, with forward slashes."""

    path: str
    sha256: str
    size: int


class ArtifactStore:
    """Files by the hash of their content; a folder is a manifest of files, stored as a file itself.

    `url` is a local folder or any fsspec URL. Blobs are never changed, so a second put of the same bytes is free.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._is_local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))
        self._cache = cache

    def _key(self, sha256: str) -> str:
        return f"{self._root}/sha256/{sha256[:2]}/{sha256}"

    def has(self, sha256: str) -> bool:
        """Whether the store holds these bytes."""
        return bool(self._fs.exists(self._key(sha256)))

    def put_file(self, path: Path) -> Blob:
        """Store a copy of a file."""
        blob = Blob(sha256_of(path), path.stat().st_size)
        if self.has(blob.sha256):
            return blob
        target = self._key(blob.sha256)
        self._fs.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = f"{target}.{secrets.token_hex(6)}"
        self._fs.put_file(str(path), temporary)
        if self._is_local:
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
        self._fs.mv(temporary, target)
        return blob

    def put_bytes(self, content: bytes) -> Blob:
        """Store bytes."""
        self._cache.mkdir(parents=True, exist_ok=True)
        temporary = self._cache / f".put-{secrets.token_hex(8)}"
        write_atomic(temporary, content)
        try:
            return self.put_file(temporary)
        finally:
            temporary.unlink()

    def put_tree(self, folder: Path) -> Blob:
        """Store a folder; the blob is its manifest, `size` the sum of its files."""
        found: list[TreeFile] = []
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            blob = self.put_file(path)
            found.append(TreeFile(path.relative_to(folder).as_posix(), blob.sha256, blob.size))
        listing = {"files": [asdict(item) for item in found]}
        manifest = self.put_bytes(json.dumps(listing, sort_keys=True).encode())
        return Blob(manifest.sha256, sum(item.size for item in found))

    def tree(self, sha256: str) -> list[TreeFile]:
        """The files of a stored folder."""
        return [TreeFile(**item) for item in json.loads(self.read_bytes(sha256))["files"]]

    def read_bytes(self, sha256: str) -> bytes:
        """A whole blob; NotFound when the store does not hold it."""
        return self.local_path(sha256).read_bytes()

    def open(self, sha256: str) -> IO[bytes]:
        """A blob to read parts of, from where it lies: a remote one is not fetched, and not checked."""
        try:
            stream: IO[bytes] = self._fs.open(self._key(sha256), "rb")
        except FileNotFoundError:
            raise NotFound(f"artifact {sha256} is not in the store", code="artifact_not_found") from None
        return stream

    def local_path(self, sha256: str) -> Path:
        """A path on this machine to read the blob from; fetched and checked first when the store is remote."""
        if self._is_local:
            path = Path(self._key(sha256))
            if not path.is_file():
                raise NotFound(f"artifact {sha256} is not in the store", code="artifact_not_found")
            return path
        cached = self._cache / "blobs" / sha256
        if not cached.is_file():
            self._fetch(sha256, cached)
        return cached

    def _fetch(self, sha256: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{sha256}.{secrets.token_hex(6)}")
        try:
            self._fs.get_file(self._key(sha256), str(temporary))
            if sha256_of(temporary) != sha256:
                raise ServerFault(f"artifact {sha256} is damaged in the store", code="artifact_damaged")
            os.replace(temporary, target)
        except FileNotFoundError:
            raise NotFound(f"artifact {sha256} is not in the store", code="artifact_not_found") from None
        finally:
            temporary.unlink(missing_ok=True)

    def materialise(self, tree: str) -> Path:
        """A stored folder as a real, read-only-by-agreement folder on this machine; made once, then reused."""
        target = self._cache / "trees" / tree
        if target.is_dir():
            return target
        temporary = target.with_name(f".{tree}.{secrets.token_hex(6)}")
        try:
            self._lay_out(tree, temporary)
            os.rename(temporary, target)
        except OSError:
            # Another process may have made it meanwhile.
            if not target.is_dir():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def _lay_out(self, tree: str, folder: Path) -> None:
        for item in self.tree(tree):
            relative = PurePosixPath(item.path)
            if relative.is_absolute() or ".." in relative.parts:
                raise ServerFault(f"artifact {tree} names a file outside its folder", code="artifact_damaged")
            path = folder / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(self.local_path(item.sha256), path)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
