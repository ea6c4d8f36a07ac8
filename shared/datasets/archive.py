"""A .zip with one file of rows and the images they name, read member by member; no name in it is ever a path."""

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from shared.datasets.faults import too_large, unreadable
from shared.datasets.limits import MEGABYTE, Limits

_MAGIC = b"PK\x03\x04"
_ROW_FILES = frozenset({".jsonl", ".ndjson", ".json", ".csv", ".tsv"})
_OTHERS = 1_000
"""Members beside images."""
_LEFT_BY_MACOS = "__MACOSX"
_PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED = 1
_SMALL = 16 * MEGABYTE
_TIGHTEST = 100
"""How many times larger than its packed form a file of rows may be."""
_FIX = "pack one .jsonl, .json or .csv file and the images that its rows name"


def is_archive(source: io.BufferedIOBase) -> bool:
    """Whether `source`, at its beginning and left there, is a zip archive."""
    head = source.read(len(_MAGIC))
    source.seek(0)
    return head == _MAGIC


class Archive:
    """An archive whose directory was read and found harmless; members are known by their names in it alone."""

    def __init__(self, source: io.BufferedIOBase, limits: Limits) -> None:
        with reading_archive():
            self._zip = zipfile.ZipFile(source)
            found = self._zip.infolist()
        if len(found) > limits.images + _OTHERS:
            raise too_large(f"the zip archive has more than {limits.images} images; split it")
        self._limits = limits
        self._members: dict[str, zipfile.ZipInfo] = {}
        for number, member in enumerate(found, start=1):
            _check(member, number)
            if member.filename in self._members:
                raise unreadable("the zip archive has two members of one name; keep one of them")
            if not member.is_dir() and _parts(member)[0] != _LEFT_BY_MACOS:
                self._members[member.filename] = member
        self._rows = self._only_row_file()

    @property
    def row_file(self) -> str:
        """The name of the file that holds the rows."""
        return self._rows.filename

    def open_rows(self) -> io.BufferedReader:
        """The rows, unpacked as they are read."""
        with reading_archive():
            return io.BufferedReader(self._zip.open(self._rows))  # type: ignore[arg-type]

    def picture(self, name: str) -> bytes | None:
        """The bytes of a member, named as in the rows: from the archive's top, or from where the rows' file lies."""
        member = self._members.get(name) or self._members.get(str(PurePosixPath(self.row_file).parent / name))
        if member is None:
            return None
        with reading_archive(), self._zip.open(member) as content:
            return content.read(self._limits.image_bytes + 1)

    def _only_row_file(self) -> zipfile.ZipInfo:
        found = [member for name, member in self._members.items() if PurePosixPath(name).suffix.lower() in _ROW_FILES]
        if len(found) != 1:
            raise unreadable(f"the zip archive has {len(found)} files of rows where one is wanted; {_FIX}")
        rows = found[0]
        if rows.file_size > max(_SMALL, _TIGHTEST * rows.compress_size):
            raise too_large("the zip archive's rows unpack into far more than they are packed in; send them unpacked")
        return rows


@contextmanager
def reading_archive() -> Iterator[None]:
    """Turn what zip archives can break with into a refusal."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError, UnicodeDecodeError):
        raise unreadable("the zip archive is damaged or of a kind we do not read; pack it again") from None


def _parts(member: zipfile.ZipInfo) -> tuple[str, ...]:
    return PurePosixPath(member.filename).parts or ("",)


def _check(member: zipfile.ZipInfo, number: int) -> None:
    """Refuse what only a harmful or a useless archive has; none of it would be followed."""
    name, said = member.orig_filename, f"member {number} of the zip archive"
    if name.startswith("/") or "\\" in name or "\x00" in name or ":" in name or ".." in name.split("/"):
        raise unreadable(f"{said} has a name that leads out of the archive; pack files with plain relative names")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise unreadable(f"{said} is a link; pack the file itself")
    if member.flag_bits & _ENCRYPTED:
        raise unreadable(f"{said} is encrypted; pack it without a password")
    if member.compress_type not in _PACKINGS:
        raise unreadable(f"{said} is packed in a way we do not read; use deflate, zip's own default")
