"""Damage to a JPEG that its decoder passes over in silence."""

from __future__ import annotations

import re

# What stands for itself in the coded pixels is a stuffed zero, a restart marker (0xd0 to 0xd7),
# or a fill byte, of which any number may come before a marker. All else begins a segment.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SCAN, _END = 0xDA, 0xD9
# A progressive JPEG has about ten. Each is a pass over the whole picture, at a few bytes.
_MOST_SCANS = 100
# Tables, the number of lines, application data and comments may stand between two scans.
_BETWEEN_SCANS = {_SCAN, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE}


def jpeg_defect(data: bytes) -> str | None:
    """What is wrong with a JPEG, as the end of "it is a JPEG that ..."; None if nothing is seen.

    The decoder fills missing and unreadable parts with gray or noise, and no error tells. This
    looks at the markers only, so it costs little beside decoding. It sees files cut short, and
    nearly always other bytes in place of coded pixels, because 0xff rarely stays legal there. It
    doesn't see a part overwritten with zeros: those are coded pixels too, of an even image.

    What follows the end of the picture, as the film of a motion photo does, is of no concern,
    and neither are other formats.
    """
    if not data.startswith(b"\xff\xd8"):
        return None
    position, scans = 2, 0
    while marker := _MARKER.search(data, position):
        kind, position = data[marker.end() - 1], marker.end()
        if kind == _END:
            return None
        if scans and kind not in _BETWEEN_SCANS:
            return f"is damaged near byte {position}"
        scans += kind == _SCAN
        if scans > _MOST_SCANS:
            return f"has more than {_MOST_SCANS} scans"
        # Stepped over by its length: a thumbnail inside has markers of its own.
        position += int.from_bytes(data[position : position + 2], "big")
    return "breaks off: its end is missing"
