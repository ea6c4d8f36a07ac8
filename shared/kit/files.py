"""Files that are either whole or absent."""

import hashlib
import os
import secrets
from pathlib import Path
from typing import IO

_CHUNK = 1 << 20


def fsync(path: Path) -> None:
    """Make a file's content, or the renames inside a folder, survive a power loss."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Replace `path` with `content` in one step; readers see the old file or the new one."""
    blob = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(blob)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync(path.parent)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hex, read in chunks."""
    with path.open("rb") as stream:
        return sha256_of_stream(stream)


def sha256_of_stream(stream: IO[bytes]) -> str:
    """SHA-256 of what is left to read, in hex."""
    digest = hashlib.sha256()
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
