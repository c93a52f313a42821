"""The size of an image of the rarer kinds by its header: TIFF, GIF, Netpbm, AVIF."""

from __future__ import annotations

import re

# P1 to P6 and two numbers, with comments between; of P7 a list of names and numbers.
_NETPBM = re.compile(rb"P[1-6](?:\s+|#[^\n]*\n)+(\d{1,9})(?:\s+|#[^\n]*\n)+(\d{1,9})\s")
_PAM = {side: re.compile(rb"\n" + side + rb"\s+(\d{1,9})\s") for side in (b"WIDTH", b"HEIGHT")}
_NETPBM_HEADER = 4096
_TIFF_SIDES = 256, 257  # the tags of width and height
_TIFF_NUMBERS = {3: 2, 4: 4}  # type -> bytes
_MOST_TAGS = 1000
_AVIF_BRANDS = (b"avif", b"avis", b"mif1")
_AVIF_HEADER = 1 << 20


def rare_image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a TIFF, GIF, PBM, PGM, PPM, PAM or AVIF; None if it is none of these.

    Parameters
    ----------
    data : bytes
        The encoded image.

    Raises
    ------
    ValueError
        If the header is damaged.
    """
    if data.startswith((b"II*\0", b"MM\0*")):
        size = _tiff(data)
    elif data.startswith((b"GIF87a", b"GIF89a")):
        size = _number(data[6:8], "little"), _number(data[8:10], "little")
    elif re.match(rb"P[1-6][\s#]", data):
        size = _netpbm(data[:_NETPBM_HEADER])
    elif data.startswith(b"P7\n"):
        size = _pam(data[:_NETPBM_HEADER])
    elif data[4:8] == b"ftyp" and data[8:12] in _AVIF_BRANDS:
        size = _avif(data[:_AVIF_HEADER])
    else:
        return None
    if 0 in size:
        raise ValueError("its header names no size")
    return size


def _tiff(data: bytes) -> tuple[int, int]:
    order = "little" if data.startswith(b"II") else "big"
    start = _number(data[4:8], order)
    count = _number(data[start : start + 2], order)
    found: dict[int, int] = {}
    for place in range(min(count, _MOST_TAGS)):
        entry = data[start + 2 + 12 * place :][:12]
        tag, kind = _number(entry[:2], order), _number(entry[2:4], order)
        if tag in _TIFF_SIDES and kind in _TIFF_NUMBERS:
            # The larger, if a tag is there twice: decoders differ in which they take.
            side = _number(entry[8 : 8 + _TIFF_NUMBERS[kind]], order)
            found[tag] = max(side, found.get(tag, 0))
    if len(found) < 2:
        raise ValueError("its header is damaged or breaks off")
    return found[256], found[257]


def _netpbm(head: bytes) -> tuple[int, int]:
    match = _NETPBM.match(head)
    if match is None:
        raise ValueError("its header is damaged or breaks off")
    return int(match[1]), int(match[2])


def _pam(head: bytes) -> tuple[int, int]:
    sides = [pattern.findall(head) for pattern in _PAM.values()]
    if not all(sides):
        raise ValueError("its header is damaged or breaks off")
    width, height = (max(map(int, found)) for found in sides)
    return width, height


def _avif(head: bytes) -> tuple[int, int]:
    # The size stands in a box of its own for each part of the picture; the whole is the largest.
    sizes = [
        (_number(head[at + 8 : at + 12], "big"), _number(head[at + 12 : at + 16], "big"))
        for at in (match.start() for match in re.finditer(b"ispe", head))
    ]
    if not sizes:
        raise ValueError("its header is damaged or breaks off")
    return max(sizes, key=lambda size: size[0] * size[1])


def _number(data: bytes, order: str) -> int:
    return int.from_bytes(data, "little" if order == "little" else "big")
