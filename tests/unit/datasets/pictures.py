"""Images and archives of them, made on the spot."""

import base64
import io
import json
import struct
import zipfile
import zlib
from typing import Any

from PIL import Image


def picture(colour: str = "red", size: tuple[int, int] = (8, 8), kind: str = "PNG", **more: Any) -> bytes:
    """A picture of one colour."""
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind, **more)
    return stream.getvalue()


def data_uri(content: bytes, kind: str = "png") -> str:
    """As rows carry an image themselves."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def huge_png(width: int, height: int) -> bytes:
    """A PNG of a hundred bytes that says it is so large."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00" * 64)) + chunk(b"IEND", b"")


def asked(question: str = "<image>Which colour?", answer: str = "red", **more: Any) -> dict[str, Any]:
    """A row."""
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **more}


def lines(*rows: Any) -> bytes:
    """JSON Lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def packed(*members: tuple[str | zipfile.ZipInfo, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()
