"""Boxes, labels and bars drawn into a picture, readable on any background."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Height of a capital letter of OpenCV's font at scale 1, in pixels.
_LETTER = 22
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)


@dataclass(frozen=True)
class FaceMark:
    """What is drawn about one face: its box, its label, and bars in their order."""

    box: Box
    text: str
    color: Color
    bars: Mapping[str, tuple[float, Color]] = field(default_factory=dict)


def draw_marks(picture: np.ndarray, marks: list[FaceMark]) -> None:
    """Draw into the RGB picture. Sizes follow the picture's; labels stay inside it."""
    height, width = picture.shape[:2]
    letter = max(9.0, 0.026 * (height * width) ** 0.5)
    line = max(1, round(letter / 7))
    for mark in marks:
        x, y, w, h = mark.box
        corners = (x, y), (x + w - 1, y + h - 1)
        cv2.rectangle(picture, *corners, _BLACK, line + 2 * max(1, line // 2), cv2.LINE_AA)
        cv2.rectangle(picture, *corners, mark.color, line, cv2.LINE_AA)
    taken: list[Box] = []
    for mark in marks:
        taken.append(_draw_label(picture, mark, letter, line, taken))
    for mark in marks:
        if mark.bars:
            _draw_bars(picture, mark, 0.7 * letter, line, taken, [other.box for other in marks])


def _draw_label(
    picture: np.ndarray, mark: FaceMark, letter: float, line: int, taken: list[Box]
) -> Box:
    text, scale, weight, size = _measured(mark.text, letter, picture.shape[1])
    pad = line + 1
    x, y, _, h = mark.box
    w, height = size[0] + 2 * pad, size[1] + 2 * pad
    places = [
        _inside((x, top, w, height), picture)
        for top in (y - height - pad, y + h + pad, y + pad, y + h - height - pad)
    ]
    free = [place for place in places if not any(_overlap(place, other) for other in taken)]
    # A label that was pushed back into the picture may lie on the face: then below it is better.
    whole = [place for place in free if not _overlap(place, mark.box)]
    place = (whole or free or places)[0]
    baseline = (place[0] + pad, place[1] + pad + round(_LETTER * scale))
    _outlined(picture, text, baseline, scale, weight)
    return place


def _draw_bars(
    picture: np.ndarray,
    mark: FaceMark,
    letter: float,
    line: int,
    taken: list[Box],
    faces: list[Box],
) -> None:
    """A list of names with a bar each: beside the face, or on it, but never on another one."""
    shares = list(mark.bars.values())
    names = [_measured(name, letter, picture.shape[1] // 2) for name in mark.bars]
    name_width = max(size[0] for _, _, _, size in names) + 4 * line
    step = round(2.1 * letter)
    longest = round(5 * letter)
    x, y, w, _ = mark.box
    block = (name_width + longest, step * len(shares))
    gap = 3 * line
    places = [
        _inside((left, y, *block), picture) for left in (x + w + gap, x - block[0] - gap, x + gap)
    ]
    for covered in ([*taken, *faces], [*taken, *(face for face in faces if face != mark.box)]):
        free = [place for place in places if not any(_overlap(place, other) for other in covered)]
        if free:
            break
    else:
        return  # in a crowd, the label has to do
    left, top, *_ = free[0]
    taken.append((left, top, *block))
    for row, ((text, scale, weight, size), (share, color)) in enumerate(
        zip(names, shares, strict=True)
    ):
        base = top + row * step + round(1.4 * letter)
        _outlined(picture, text, (left + name_width - 3 * line - size[0], base), scale, weight)
        start = (left + name_width, base - round(letter))
        end = (start[0] + max(1, round(share * longest)), base)
        cv2.rectangle(picture, start, end, _BLACK, 2 * max(1, line // 2), cv2.LINE_AA)
        cv2.rectangle(picture, start, end, color, cv2.FILLED)


def _measured(text: str, letter: float, width: int) -> tuple[str, float, int, tuple[int, int]]:
    """The text as the font can write it, its scale and weight, and its size in pixels."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(sign for sign in text if not unicodedata.combining(sign))
    text = text.encode("ascii", "replace").decode()
    scale = letter / _LETTER
    (needed, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    scale *= min(1.0, 0.94 * width / max(needed, 1))
    weight = max(1, round(1.6 * scale))
    (needed, height), baseline = cv2.getTextSize(text, _FONT, scale, weight)
    return text, scale, weight, (needed, height + baseline)


def _outlined(
    picture: np.ndarray, text: str, origin: tuple[int, int], scale: float, weight: int
) -> None:
    """White letters with a black edge."""
    edge = weight + 2 * max(1, round(1.6 * scale))
    cv2.putText(picture, text, origin, _FONT, scale, _BLACK, edge, cv2.LINE_AA)
    cv2.putText(picture, text, origin, _FONT, scale, _WHITE, weight, cv2.LINE_AA)


def _inside(place: Box, picture: np.ndarray) -> Box:
    x, y, width, height = place
    x = max(0, min(x, picture.shape[1] - width))
    y = max(0, min(y, picture.shape[0] - height))
    return x, y, width, height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
