"""Rows with images: however sent, they are kept once by hash; what is no image, or leads elsewhere, is refused."""

import hashlib
import io
import json
import stat
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from shared.contracts.base import JsonObject
from shared.datasets.limits import Limits
from shared.kit.errors import ImtsError, InvalidRequest, TooLarge
from tests.unit.datasets.pictures import asked, data_uri, huge_png, lines, packed, picture
from tests.unit.datasets.reading import take

RED, BLUE = picture("red"), picture("blue", kind="JPEG")
RED_HASH, BLUE_HASH = hashlib.sha256(RED).hexdigest(), hashlib.sha256(BLUE).hexdigest()
ROWS = packed(
    ("set/data.jsonl", lines(asked(images=["images/a.png"]), asked(images=["./images/b.jpg"]))),
    ("set/images/a.png", RED), ("set/images/b.jpg", BLUE), ("__MACOSX/set/._data.jsonl", b"\x00"),
)  # fmt: skip


def _fault(content: bytes, folder: Path, filename: str = "a.jsonl", limits: Limits | None = None) -> ImtsError:
    with pytest.raises(ImtsError) as caught:
        take(content, folder, filename, limits=limits)
    assert caught.value.param == "file"
    return caught.value


def _parts(*parts: Any) -> JsonObject:
    return {"messages": [{"role": "user", "content": list(parts)}, {"role": "assistant", "content": "red"}]}


def _url(address: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": address}


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "filename"),
    [
        (ROWS, "a.zip"),
        (ROWS, "misnamed.jsonl"),
        (lines(asked(images=[data_uri(RED)]), asked(images=[data_uri(BLUE, "jpeg")])), "a.jsonl"),
        (lines(asked(image=data_uri(RED)), asked(image={"bytes": None, "url": data_uri(BLUE)})), "a.jsonl"),
        (lines(*(_parts(_url({"url": data_uri(one)}), {"type": "text", "text": "Which colour?"})
                 for one in (RED, BLUE))), "a.jsonl"),
        (lines(*({**_parts({"type": "image"}, {"type": "text", "text": "Which colour?"}), "images": [data_uri(one)]}
                 for one in (RED, BLUE))), "a.jsonl"),
        (_parquet([asked(images=[{"bytes": one, "path": "x"}]) for one in (RED, BLUE)]), "a.parquet"),
    ],
)  # fmt: skip
def test_images_are_kept_by_hash_however_they_are_sent(content: bytes, filename: str, tmp_path: Path) -> None:
    report, rows = take(content, tmp_path, filename)
    assert rows == [asked(images=[RED_HASH]), asked(images=[BLUE_HASH])]
    assert report.images == 2
    assert {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()} == {
        RED_HASH: RED, BLUE_HASH: BLUE,
    }  # fmt: skip


def test_an_image_that_comes_often_is_kept_once(tmp_path: Path) -> None:
    report, rows = take(lines(*(asked(answer=str(n), images=[data_uri(RED)]) for n in range(9))), tmp_path)
    assert (report.rows, report.images, len(list((tmp_path / "images").iterdir()))) == (9, 1, 1)
    assert all(row["images"] == [RED_HASH] for row in rows)


def test_rows_without_images_may_stand_between_and_may_talk_of_images_where_there_are_none(tmp_path: Path) -> None:
    _, rows = take(lines(asked(images=[data_uri(RED)]), asked("Hello", images=[])), tmp_path)
    assert "images" not in rows[1]
    report, _ = take(lines(asked("What is <image> in SVG?")), tmp_path)
    assert report.images == 0


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (asked(images=[data_uri(RED)] * 2), "has 2 images and 1 times <image>"),
        (asked("Which colour?", images=[data_uri(RED)]), "has 1 images and 0 times <image>"),
        (asked(images=[]), "has 0 images and 1 times <image>"),
        (asked(), "has <image> in its messages and no images"),
        (asked("Which?", "<image>", images=[data_uri(RED)]), "shows an image in the assistant's"),
        (asked("<image><video>", images=[data_uri(RED)]), "<video> or <audio>"),
        (_parts(_url({"url": data_uri(RED)}), {"type": "text", "text": "<image>"}), "has 1 images and 2 times"),
        (_parts({"type": "image"}), "parts of type image without an image"),
        ({**_parts(_url(data_uri(RED))), "images": [data_uri(RED)]}, "keep them in one place"),
        (_parts({"type": "input_audio"}), "not text"),
        (asked(images=["https://10.0.0.1/a.png"]), "`images[0]` is an address, and nothing is fetched"),
        (_parts(_url({"url": "HTTP://localhost/"})), "`messages[0].content[0]` is an address"),
        (asked(images=["file:///etc/passwd"]), "is an address"),
        (asked(images=["//host/share"]), "is an address"),
        (asked(images=["/etc/passwd"]), "is a path, and no path is followed"),
        (asked(images=["../a.png"]), "is a path, and no path is followed"),
        (asked(images=[7]), "`images[0]` is no image"),
        (asked(images=[data_uri(b"")]), "`images[0]` is no image, or a damaged one"),
        (asked(images=[data_uri(b"GIF89a" + bytes(99))]), "is no image"),
        (asked(images=[data_uri(b"<svg onload='x'/>", "svg+xml")]), "is no image"),
        (asked(images=[data_uri(RED[:-40])]), "is no image, or a damaged one"),
        (asked(images=["data:image/png;base64,%%%"]), "base64 is broken"),
        (asked(images=["data:text/html;base64,AAAA"]), "is an address"),
        (asked(images=[data_uri(huge_png(65_000, 65_000))]), "more than 33554432 pixels"),
        (asked(images=[data_uri(huge_png(8_000, 8_000))]), "more than 33554432 pixels"),
        (asked(images=[data_uri(picture(size=(801, 4)))]), "more than 200 times as long as wide"),
        ({**asked(images=[data_uri(RED)]), "label": True}, "not with kto rows"),
        ({"text": "x", "images": [data_uri(RED)]}, "not with text rows"),
        (asked(videos=["a.mp4"]), "`videos` is not taken yet"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_with_its_row_and_field(row: JsonObject, why: str, tmp_path: Path) -> None:
    good = asked(images=[data_uri(RED)])
    if "label" in row:
        good["label"] = True
        good.pop("images")
        good["messages"][0]["content"] = "x"
    fault = _fault(lines({"text": "x"} if "text" in row else good, row), tmp_path)
    assert isinstance(fault, InvalidRequest)
    assert fault.message.startswith("row 2: ")
    assert why in fault.message
    assert "passwd" not in fault.message


def test_large_images_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    small = replace(Limits(), image_bytes=50)
    for content, name in ((lines(asked(images=[data_uri(RED)])), "a.jsonl"), (ROWS, "a.zip")):
        fault = _fault(content, tmp_path, name, small)
        assert isinstance(fault, TooLarge)
        assert "row 1: `images[0]` is an image of more than 50 bytes" in fault.message
    few = replace(Limits(), images=1)
    assert "more than 1 images" in _fault(ROWS, tmp_path, "a.zip", few).message
    assert "bytes of images" in _fault(ROWS, tmp_path, "a.zip", replace(Limits(), output_bytes=300)).message


def _named(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    return member


DATA = ("data.jsonl", lines(asked(images=["a.png"])))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (packed(DATA, ("../a.png", RED)), "member 2 of the zip archive has a name that leads out"),
        (packed(DATA, ("/etc/a.png", RED)), "leads out"),
        (packed(DATA, ("images/../../a.png", RED)), "leads out"),
        (packed(DATA, ("..\\a.png", RED)), "leads out"),
        (packed(DATA, ("C:a.png", RED)), "leads out"),
        (packed(DATA, (_named("a.png", stat.S_IFLNK | 0o777), b"/etc/passwd")), "the zip archive is a link"),
        (packed(DATA, ("a.png", RED), packing=zipfile.ZIP_LZMA), "packed in a way we do not read"),
        (packed(("a.png", RED)), "has 0 files of rows"),
        (packed(DATA, ("more.csv", b"x"), ("a.png", RED)), "has 2 files of rows"),
        (packed(("data.jsonl", lines(asked(images=["b.png"]))), ("a.png", RED)), "row 1: `images[0]` names no file"),
        (packed(("data.jsonl", lines(asked(images=["/a.png"]))), ("a.png", RED)), "leads out of the archive"),
        (packed(("data.jsonl", lines(asked(images=["x/../a.png"]))), ("a.png", RED)), "leads out of the archive"),
        (packed(("data.jsonl", lines(asked(images=["data.jsonl"])))), "`images[0]` is no image"),
        (packed(("data.jsonl", b"\n" * (32 << 20))), "unpack into far more"),
        (packed(("data.jsonl", packed(DATA))), "zip archive"),
        (packed(DATA, ("a.png", RED))[:-30], "damaged"),
        (b"PK\x03\x04" + bytes(400), "damaged"),
    ],
)  # fmt: skip
def test_a_harmful_archive_is_refused(content: bytes, why: str, tmp_path: Path) -> None:
    fault = _fault(content, tmp_path, "a.zip")
    assert why in fault.message
    assert [path.name for path in tmp_path.iterdir()] in ([], ["rows.jsonl"])


def test_an_archive_that_hides_what_it_is_is_refused(tmp_path: Path) -> None:
    plain = packed(DATA, ("a.png", RED), packing=zipfile.ZIP_STORED)
    encrypted = plain.replace(b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01\x00")
    assert encrypted != plain
    assert "is encrypted" in _fault(encrypted, tmp_path, "a.zip").message
    spoilt = plain.replace(RED, RED[:-1] + b"\x00")
    assert "damaged" in _fault(spoilt, tmp_path, "a.zip").message
    lying = plain.replace(struct.pack("<I", len(DATA[1])), struct.pack("<I", 7))
    assert _fault(lying, tmp_path, "a.zip")
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = packed(DATA, ("a.png", RED), ("a.png", BLUE))
    assert "two members of one name" in _fault(twice, tmp_path, "a.zip").message


def test_rows_in_other_containers_may_lie_in_an_archive(tmp_path: Path) -> None:
    rows = [{"instruction": "<image>Which?", "output": "red", "image": "a.png"}]
    _, found = take(packed(("d.json", json.dumps(rows).encode()), ("a.png", RED)), tmp_path, "a.zip")
    assert found == [asked("<image>Which?", images=[RED_HASH])]
    table = b'instruction,output,image\n"<image>Which?",red,a.png\n'
    assert take(packed(("d.csv", table), ("a.png", RED)), tmp_path, "a.zip")[1] == found
