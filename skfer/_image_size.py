"""The size of an encoded image by its header: known before anything is decoded."""

from __future__ import annotations

import itertools
import re

# Frames of JPEG: baseline, progressive and so on. 0xc4, 0xc8 and 0xcc among them are tables.
_JPEG_FRAMES = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
# A progressive JPEG has about ten. Each is a pass over the whole picture, at a few bytes.
_MOST_SCANS = 100
# How a scan begins: with its length and the number of its components, which must agree. The marker
# alone is met by chance in the megabytes of film that phones append to a photo.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, PNG, WebP or BMP; None if it is none of these.

    What the header says is what the decoder makes room for, so this is where a small file that
    unfolds into gigabytes is seen. Width and height are as stored, before any EXIF orientation.

    Parameters
    ----------
    data : bytes
        The encoded image, or its beginning.

    Raises
    ------
    ValueError
        If the header is damaged.
    """
    if data.startswith(b"\xff\xd8\xff"):
        size = _jpeg(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(data[16:20]), _big(data[20:24])
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        size = _webp(data)
    elif data.startswith(b"BM"):
        size = _bmp(data)
    else:
        return None
    if 0 in size:
        raise ValueError("its header names no size")
    return size


def _jpeg(data: bytes) -> tuple[int, int]:
    if next(itertools.islice(_SCAN.finditer(data), _MOST_SCANS, None), None):
        raise ValueError(f"it has more than {_MOST_SCANS} scans")
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        kind = data[position + 1]
        if kind == 0xFF:  # a fill byte, of which any number may come before a marker
            position += 1
            continue
        if kind in _JPEG_FRAMES:
            return _big(data[position + 7 : position + 9]), _big(data[position + 5 : position + 7])
        if kind in (_JPEG_SCAN, _JPEG_END):
            break
        position += 2 + _big(data[position + 2 : position + 4])
    raise ValueError("its header is damaged or breaks off")


def _webp(data: bytes) -> tuple[int, int]:
    if len(data) < 30:
        raise ValueError("its header breaks off")
    kind = data[12:16]
    if kind == b"VP8X":  # the canvas; what is drawn on it can't be larger
        return 1 + _little(data[24:27]), 1 + _little(data[27:30])
    if kind == b"VP8L":
        bits = _little(data[21:25])
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF


def _bmp(data: bytes) -> tuple[int, int]:
    if _little(data[14:18]) == 12:  # the first version, with short numbers
        return _little(data[18:20]), _little(data[20:22])
    width, height = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    return abs(width), abs(height)  # a negative height: top row first


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
