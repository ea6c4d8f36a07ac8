"""The door to Pillow: whether some bytes are a picture that a training can read, found out by reading it."""

import io
import struct
import warnings

from shared.datasets.faults import RowFault, RowTooLarge, unreadable
from shared.datasets.limits import Limits

_FORMATS = ("JPEG", "PNG", "WEBP")
_LONGEST = 200
"""Sides' ratio beyond which some models' image processors give up."""
_FIX = "send PNG, JPEG or WebP"


def check_picture(content: bytes, field: str, limits: Limits) -> None:
    """RowFault unless all of `content` can be unpacked, and into no more than it may."""
    try:
        from PIL import Image
    except ImportError:
        raise unreadable("images are not installed on this server; install imts[data]") from None

    if len(content) > limits.image_bytes:
        raise RowTooLarge(f"`{field}` is an image of more than {limits.image_bytes} bytes; make it smaller")
    huge = RowFault(f"`{field}` is an image of more than {limits.image_pixels} pixels; make it smaller")
    try:
        with warnings.catch_warnings():
            # Pillow's own bound is higher than ours: what it warns of is refused below.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                _check_shape(picture.size, field, limits, huge)
                if getattr(picture, "is_animated", False):
                    raise RowFault(f"`{field}` is animated; send one picture")
                picture.convert("RGB")
    except RowFault:
        raise
    except Image.DecompressionBombError:
        raise huge from None
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, OverflowError):
        raise RowFault(f"`{field}` is no image, or a damaged one; {_FIX}") from None


def _check_shape(size: tuple[int, int], field: str, limits: Limits, huge: RowFault) -> None:
    width, height = size
    if width * height > limits.image_pixels:
        raise huge
    if max(size) > _LONGEST * min(size):
        raise RowFault(f"`{field}` is an image more than {_LONGEST} times as long as wide; cut it")
