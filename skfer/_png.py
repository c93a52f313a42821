"""Damage to a PNG that its decoder believes."""

from __future__ import annotations

_START = 8  # after the signature
_FRAME = 12  # length, name and checksum of a chunk


def png_defect(data: bytes) -> str | None:
    """What is wrong with a PNG, as the end of "it is a PNG that ..."; None if nothing is seen.

    Each chunk begins with its length. OpenCV's decoder makes room for that before it sees that the
    file is shorter: a file of 40 kB took 4 GB. Checksums are left to the decoder, and other formats
    are of no concern.
    """
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return None
    position = _START
    while position + _FRAME <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kind = data[position + 4 : position + 8]
        if (kind == b"IHDR") != (position == _START):
            return f"is damaged near byte {position}"
        position += _FRAME + length
        if position <= len(data) and kind == b"IEND":
            return None
    return "breaks off, or is damaged: its end is missing"
