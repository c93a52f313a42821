"""`annotate`: boxes, labels and bars of faces drawn into an image."""

from __future__ import annotations

import functools
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from skfer._images._batch import read_image
from skfer._labels import EXPRESSION_COLORS
from skfer._utils import printable
from skfer.detection import to_eight_bits

if TYPE_CHECKING:
    import pandas as pd

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]

_COLUMNS = ("x", "y", "width", "height", "expression", "probability")

# Colours of classes with other names, in this order.
_OTHER_COLORS = [
    EXPRESSION_COLORS[name]
    for name in ("happy", "sad", "disgust", "fear", "surprise", "angry", "contempt", "neutral")
]
_ABSTENTION_COLOR = "#e0e0e0"
_BLACK = (0, 0, 0)
# Behind letters, and behind bars in their full length.
_PANEL, _TRACK = (10, 14, 18), (48, 54, 60)

# Height of the font's capital letters, as a share of its size.
_CAPITAL = 0.68
_MAX_BARS, _MIN_BAR_PROBABILITY = 5, 0.01


def annotate(image: Any, faces: pd.DataFrame, *, bars: bool = False) -> np.ndarray:
    """Draw the boxes and expressions of faces into an image.

    White letters on dark panels are legible on any background. Sizes depend on the size of the
    image, and labels stay inside it. Of several faces, each has the number of its row, and labels
    and bars cover no other face: without room, the label is the number, and there are no bars.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, 3), path, or bytes
        The image; it is not modified.
    faces : pandas.DataFrame
        Rows of the image in the table of `recognize`. Rows without an expression are ignored.
        The number is that of the column `face_id`, as in the table of a video, or `face`.
    bars : bool, default=False
        Whether to draw bars of the (up to five) most probable classes next to each face.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        A new RGB image.

    Raises
    ------
    ValueError
        If the image can't be read, or a column is missing.

    Notes
    -----
    Pillow's built-in font has only ASCII characters: accents are removed from labels, and other
    characters appear as question marks.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skfer import annotate
    >>> faces = pd.DataFrame(
    ...     [[30, 40, 60, 60, "happy", 0.93]],
    ...     columns=["x", "y", "width", "height", "expression", "probability"],
    ... )
    >>> annotate(np.zeros((120, 160), np.uint8), faces).shape
    (120, 160, 3)
    """
    missing = [name for name in _COLUMNS if name not in getattr(faces, "columns", ())]
    if missing:
        raise ValueError(
            f"faces has no column {missing[0]!r}: give the rows of one image from the table of "
            "recognize."
        )
    if "image" in faces and faces["image"].nunique() > 1:
        raise ValueError(
            f"faces has rows of {faces['image'].nunique()} images: give those of one, such as "
            "faces[faces['image'] == path]."
        )
    output = to_eight_bits(read_image(image, 0))
    output = output.copy() if output.ndim == 3 else cv2.cvtColor(output, cv2.COLOR_GRAY2RGB)
    rows = faces[faces["expression"].notna()].to_dict("records")
    number = "face_id" if "face_id" in faces else "face" if len(rows) > 1 else None
    draw_marks(output, [_row_to_mark(row, bars, row.get(number)) for row in rows])
    return output


@dataclass(frozen=True)
class FaceMark:
    """The box, label and bars to draw for one face; `short` is a label for little room."""

    box: Box
    text: str
    color: Color
    bars: Mapping[str, tuple[float, Color]] = field(default_factory=dict)
    short: str = ""


def _row_to_mark(row: dict[str, Any], bars: bool, number: Any) -> FaceMark:
    # A table from a file has floats, if the number of another row is missing.
    number = int(number) if isinstance(number, float) and number.is_integer() else number
    # The columns of the classes are the numbers after the column `probability`.
    names = list(row)[list(row).index("probability") + 1 :]
    probabilities = {name: row[name] for name in names if isinstance(row[name], float)}
    label = row["expression"]
    return FaceMark(
        box=(int(row["x"]), int(row["y"]), int(row["width"]), int(row["height"])),
        text=face_label(label, row["probability"], number),
        color=expression_color(label, list(probabilities)),
        bars=probability_bars(probabilities) if bars else {},
        short="" if number is None else f"#{number}",
    )


def face_label(label: Any, probability: float, face_id: Any = None) -> str:
    """Return the text for a face: ``"happy 93 %"``, or ``"#2 happy 93 %"`` with a number."""
    number = "" if face_id is None else f"#{face_id} "
    return f"{number}{label} {100 * probability:.0f} %"


def probability_bars(probabilities: Mapping[str, float]) -> dict[str, tuple[float, Color]]:
    """Return the length and colour of the bars of the most probable classes, longest first."""
    names = list(probabilities)
    shown = [name for name in names if probabilities[name] >= _MIN_BAR_PROBABILITY]
    shown = sorted(shown, key=lambda name: -probabilities[name])[:_MAX_BARS]
    return {name: (probabilities[name], expression_color(name, names)) for name in shown}


def expression_hex_color(label: Any, classes: list[Any]) -> str:
    """Return the colour of a class as ``"#rrggbb"``; `classes` may hold column names."""
    name, names = str(label), [str(other) for other in classes]
    if name in EXPRESSION_COLORS:
        return EXPRESSION_COLORS[name]
    if name not in names:
        return _ABSTENTION_COLOR
    return _OTHER_COLORS[names.index(name) % len(_OTHER_COLORS)]


def expression_color(label: Any, classes: list[Any]) -> Color:
    """Return the colour of a class as RGB values from 0 to 255."""
    red, green, blue = bytes.fromhex(expression_hex_color(label, classes)[1:])
    return red, green, blue


def draw_marks(image: np.ndarray, marks: list[FaceMark]) -> None:
    """Draw boxes, labels and bars into an RGB image."""
    height, width = image.shape[:2]
    letter = max(9.0, 0.026 * (height * width) ** 0.5)
    line = max(1, round(letter / 7))
    faces = []  # with the lines of their boxes
    for mark in marks:
        x, y, w, h = mark.box
        faces.append((x - line, y - line, w + 2 * line, h + 2 * line))
        corners = (x, y), (x + w - 1, y + h - 1)
        cv2.rectangle(image, *corners, _BLACK, line + 2 * max(1, line // 2), cv2.LINE_AA)
        cv2.rectangle(image, *corners, mark.color, line, cv2.LINE_AA)
    labels = _place_labels(image, marks, letter, line)
    for box, text, size in labels:
        _draw_panel(image, box)
        _draw_text(image, text, size, (box[0] + 2 * line, box[1] + line))
    occupied = [box for box, _, _ in labels]
    for mark in marks:
        if mark.bars:
            _draw_bars(image, mark, 0.7 * letter, line, occupied, faces)


def _place_labels(
    image: np.ndarray, marks: list[FaceMark], letter: float, line: int
) -> list[tuple[Box, str, int]]:
    """Return the box, text and letter size of each label; it is short if there is little room."""
    labels: list[tuple[Box, str, int]] = []
    for mark in marks:
        others = [other.box for other in marks if other is not mark]
        occupied = [box for box, _, _ in labels]
        for label in (mark.text, mark.short or mark.text):
            text, size = _fit_text(label, letter, image.shape[1])
            width, height = _text_size(text, size)
            box_size = (width + 4 * line, height + 2 * line)
            box = _place_label(image, mark.box, box_size, 2 * line, occupied, others)
            if not _overlaps_any(box, [*occupied, *others]):
                break
        labels.append((box, text, size))
    return labels


def _place_label(
    image: np.ndarray,
    face: Box,
    size: tuple[int, int],
    gap: int,
    occupied: list[Box],
    others: list[Box],
) -> Box:
    """Return a box above, below or inside the face; if possible, it covers nothing."""
    x, y, _, h = face
    width, height = size
    boxes = [
        _move_inside((x, top, width, height), image)
        for top in (y - height - gap, y + h + gap, y + gap, y + h - height - gap)
    ]
    for avoided in ([*occupied, *others, face], [*occupied, *others], occupied):
        for box in boxes:
            if not _overlaps_any(box, avoided):
                return box
    return boxes[0]


def _draw_bars(
    image: np.ndarray,
    mark: FaceMark,
    letter: float,
    line: int,
    occupied: list[Box],
    faces: list[Box],
) -> None:
    """Draw class names with bars beside or below the face; none if they would cover another."""
    names = [_fit_text(name, letter, image.shape[1] // 2) for name in mark.bars]
    name_width = max(_text_size(*name)[0] for name in names)
    row_height = round(2.1 * letter)
    track, pad, gap = round(5 * letter), 2 * line, 3 * line
    size = (name_width + track + 3 * pad, row_height * len(names) + pad)
    x, y, w, h = mark.box
    corners = [
        *((x + w + gap, y), (x - size[0] - gap, y)),
        *((x, y + h + gap), (x, y - size[1] - gap), (x + gap, y + h - size[1] - gap)),
    ]
    boxes = [_move_inside((*corner, *size), image) for corner in corners]
    free = [box for box in boxes if not _overlaps_any(box, [*occupied, *faces])]
    if not free and len(faces) == 1:  # a portrait: on the face itself
        free = [box for box in boxes if not _overlaps_any(box, occupied)]
    if not free:
        return
    left, top, *_ = free[0]
    occupied.append(free[0])
    _draw_panel(image, free[0])
    start = left + name_width + 2 * pad
    for row, ((text, letter_size), (probability, color)) in enumerate(
        zip(names, mark.bars.values(), strict=True)
    ):
        text_width, text_height = _text_size(text, letter_size)
        middle = top + pad // 2 + round((row + 0.5) * row_height)
        origin = (left + pad + name_width - text_width, middle - text_height // 2)
        _draw_text(image, text, letter_size, origin)
        upper, lower = middle - round(letter / 2), middle + round(letter / 2)
        for length, shade in ((track, _TRACK), (max(1, round(probability * track)), color)):
            cv2.rectangle(image, (start, upper), (start + length - 1, lower), shade, cv2.FILLED)


@functools.cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _fit_text(text: str, letter: float, width: int) -> tuple[str, int]:
    """Return a text in ASCII and its font size, with capitals of `letter` pixels or fewer."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = printable(text).encode("ascii", "replace").decode()
    size = letter / _CAPITAL
    text_width = _font(round(size)).getlength(text)
    size *= min(1.0, 0.9 * width / max(text_width, 1))
    return text, max(1, round(size))


def _text_size(text: str, size: int) -> tuple[int, int]:
    return math.ceil(_font(size).getlength(text)), sum(_font(size).getmetrics())


@functools.lru_cache(maxsize=512)
def _text_mask(text: str, size: int) -> np.ndarray:
    """Return the coverage of each pixel by a text, from 0 to 255."""
    mask = Image.new("L", _text_size(text, size))
    ImageDraw.Draw(mask).text((0, 0), text, 255, font=_font(size))
    return np.asarray(mask)


def _draw_text(image: np.ndarray, text: str, size: int, origin: tuple[int, int]) -> None:
    """Blend a white text into an image; `origin` is its upper left corner."""
    mask = _text_mask(text, size)
    part, (left, top) = _part_of(image, (*origin, mask.shape[1], mask.shape[0]))
    shares = mask[top:, left:][: part.shape[0], : part.shape[1], np.newaxis] / np.float32(255)
    part[:] = np.rint(part + (np.float32(255) - part) * shares)


def _draw_panel(image: np.ndarray, box: Box) -> None:
    """Darken an area, so that white letters are legible on it."""
    part, _ = _part_of(image, box)
    if part.size:
        part[:] = cv2.addWeighted(part, 0.14, np.full_like(part, _PANEL), 0.86, 0)


def _part_of(image: np.ndarray, box: Box) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the part of a box inside the image, and its left and top offset in the box."""
    x, y, width, height = box
    left, top = max(-x, 0), max(-y, 0)
    return image[y + top : max(y + height, 0), x + left : max(x + width, 0)], (left, top)


def _move_inside(box: Box, image: np.ndarray) -> Box:
    x, y, width, height = box
    x = max(0, min(x, image.shape[1] - width))
    y = max(0, min(y, image.shape[0] - height))
    return x, y, width, height


def _overlaps_any(box: Box, others: list[Box]) -> bool:
    left, top, width, height = box
    return any(
        left < x + w and x < left + width and top < y + h and y < top + height
        for x, y, w, h in others
    )
