"""Takes the images of an upload in: each is checked, and kept once under the hash of its content."""

import base64
import binascii
import hashlib
import re
from pathlib import Path
from typing import Any

from shared.datasets.archive import Archive
from shared.datasets.faults import RowFault, RowTooLarge, too_large
from shared.datasets.limits import Limits
from shared.datasets.pictures import check_picture

_DATA = re.compile(r"data:image/[a-z0-9.+-]{1,32};base64,", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_INLINE = "as a data: URI (data:image/png;base64,…), or as a file in a .zip beside the rows"


class Gallery:
    """The images of one upload; `folder` gets a file for each, named after its SHA-256."""

    def __init__(self, folder: Path, limits: Limits, archive: Archive | None = None) -> None:
        self._folder = folder
        self._limits = limits
        self._archive = archive
        self._hashes: dict[str, str] = {}
        """Of the archive's members that were looked at."""
        self._kept: set[str] = set()
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, value: Any, field: str) -> str:
        """The hash of the image that a row holds or names; RowFault when it is none that can be taken."""
        if isinstance(value, dict):
            value = value.get("bytes") if value.get("bytes") is not None else value.get("url", value.get("path"))
        if isinstance(value, bytes):
            return self._keep(value, field)
        if not isinstance(value, str) or not value:
            raise RowFault(f"`{field}` is no image; send it {_INLINE}")
        if found := _DATA.match(value):
            return self._keep(self._decoded(value[found.end() :], field), field)
        return self._of_member(value, field)

    def _decoded(self, text: str, field: str) -> bytes:
        if len(text) > 2 * self._limits.image_bytes:
            raise RowTooLarge(f"`{field}` is an image of more than {self._limits.image_bytes} bytes; make it smaller")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise RowFault(f"`{field}` is a data: URI whose base64 is broken") from None

    def _of_member(self, name: str, field: str) -> str:
        if _SCHEME.match(name) or name.startswith("//"):
            raise RowFault(f"`{field}` is an address, and nothing is fetched; send the image itself, {_INLINE}")
        if self._archive is None:
            raise RowFault(f"`{field}` is a path, and no path is followed; send the image itself, {_INLINE}")
        if name.startswith("/") or "\\" in name or ".." in name.split("/"):
            raise RowFault(f"`{field}` leads out of the archive; write the image's name as it is in the archive")
        name = name.removeprefix("./")
        if name not in self._hashes:
            content = self._archive.picture(name)
            if content is None:
                raise RowFault(f"`{field}` names no file of the archive; check its spelling")
            self._hashes[name] = self._keep(content, field)
        return self._hashes[name]

    def _keep(self, content: bytes, field: str) -> str:
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._kept:
            return digest
        check_picture(content, field, self._limits)
        self._kept.add(digest)
        self._size += len(content)
        if len(self._kept) > self._limits.images:
            raise too_large(f"the file has more than {self._limits.images} images; split it")
        if self._size > self._limits.output_bytes:
            raise too_large(f"the file has more than {self._limits.output_bytes} bytes of images; split it")
        self._folder.mkdir(exist_ok=True)
        (self._folder / digest).write_bytes(content)
        return digest
