"""`annotate`: boxes, labels and bars of faces drawn into an image."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from skfer._images._batch import read_image
from skfer._labels import EXPRESSION_COLORS
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
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)

_FONT = cv2.FONT_HERSHEY_SIMPLEX
# Height of OpenCV's capital letters at scale 1, in pixels.
_LETTER_HEIGHT = 22
_MAX_BARS, _MIN_BAR_PROBABILITY = 5, 0.01


def annotate(image: Any, faces: pd.DataFrame, *, bars: bool = False) -> np.ndarray:
    """Draw the boxes and expressions of faces into an image.

    Letters and boxes have an outline and are legible on any background. Sizes depend on the size
    of the image, and labels stay inside it.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, 3), path, or bytes
        The image; it is not modified.
    faces : pandas.DataFrame
        Rows of the image in the table of `recognize`. Rows without a face are ignored. A column
        `face_id`, as in the table of a video, is drawn as well.
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
    OpenCV's font has only ASCII characters: accents are removed from labels, and other
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
    output = to_eight_bits(read_image(image, 0))
    output = output.copy() if output.ndim == 3 else cv2.cvtColor(output, cv2.COLOR_GRAY2RGB)
    rows = faces[faces["expression"].notna()].to_dict("records")
    draw_marks(output, [_row_to_mark(row, bars) for row in rows])
    return output


@dataclass(frozen=True)
class FaceMark:
    """The box, label and bars to draw for one face."""

    box: Box
    text: str
    color: Color
    bars: Mapping[str, tuple[float, Color]] = field(default_factory=dict)


def _row_to_mark(row: dict[str, Any], bars: bool) -> FaceMark:
    # The columns of the classes are the numbers after the column `probability`.
    names = list(row)[list(row).index("probability") + 1 :]
    probabilities = {name: row[name] for name in names if isinstance(row[name], float)}
    label = row["expression"]
    return FaceMark(
        box=(int(row["x"]), int(row["y"]), int(row["width"]), int(row["height"])),
        text=face_label(label, row["probability"], row.get("face_id")),
        color=expression_color(label, list(probabilities)),
        bars=probability_bars(probabilities) if bars else {},
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
    for mark in marks:
        x, y, w, h = mark.box
        corners = (x, y), (x + w - 1, y + h - 1)
        cv2.rectangle(image, *corners, _BLACK, line + 2 * max(1, line // 2), cv2.LINE_AA)
        cv2.rectangle(image, *corners, mark.color, line, cv2.LINE_AA)
    occupied: list[Box] = []
    for mark in marks:
        occupied.append(_draw_label(image, mark, letter, line, occupied))
    for mark in marks:
        if mark.bars:
            _draw_bars(image, mark, 0.7 * letter, line, occupied, [other.box for other in marks])


def _draw_label(
    image: np.ndarray, mark: FaceMark, letter: float, line: int, occupied: list[Box]
) -> Box:
    """Draw a label above, below or inside the box, and return its own box."""
    text, scale, weight, (text_width, text_height) = _fit_text(mark.text, letter, image.shape[1])
    pad = line + 1
    x, y, _, h = mark.box
    width, height = text_width + 2 * pad, text_height + 2 * pad
    boxes = [
        _move_inside((x, top, width, height), image)
        for top in (y - height - pad, y + h + pad, y + pad, y + h - height - pad)
    ]
    free = [box for box in boxes if not any(_overlap(box, other) for other in occupied)]
    # Prefer a label outside the face: one moved back into the image may cover it.
    outside = [box for box in free if not _overlap(box, mark.box)]
    box = (outside or free or boxes)[0]
    baseline = (box[0] + pad, box[1] + pad + round(_LETTER_HEIGHT * scale))
    _draw_text(image, text, baseline, scale, weight)
    return box


def _draw_bars(
    image: np.ndarray,
    mark: FaceMark,
    letter: float,
    line: int,
    occupied: list[Box],
    faces: list[Box],
) -> None:
    """Draw class names with bars beside or on the face; none if they would cover another face."""
    names = [_fit_text(name, letter, image.shape[1] // 2) for name in mark.bars]
    name_width = max(size[0] for _, _, _, size in names) + 4 * line
    row_height = round(2.1 * letter)
    max_length = round(5 * letter)
    x, y, w, _ = mark.box
    size = (name_width + max_length, row_height * len(names))
    gap = 3 * line
    boxes = [
        _move_inside((left, y, *size), image) for left in (x + w + gap, x - size[0] - gap, x + gap)
    ]
    for avoided in (
        [*occupied, *faces],
        [*occupied, *(face for face in faces if face != mark.box)],
    ):
        free = [box for box in boxes if not any(_overlap(box, other) for other in avoided)]
        if free:
            break
    else:
        return
    left, top, *_ = free[0]
    occupied.append((left, top, *size))
    for row, ((text, scale, weight, text_size), (probability, color)) in enumerate(
        zip(names, mark.bars.values(), strict=True)
    ):
        baseline = top + row * row_height + round(1.4 * letter)
        right = left + name_width
        _draw_text(image, text, (right - 3 * line - text_size[0], baseline), scale, weight)
        start = (right, baseline - round(letter))
        end = (right + max(1, round(probability * max_length)), baseline)
        cv2.rectangle(image, start, end, _BLACK, 2 * max(1, line // 2), cv2.LINE_AA)
        cv2.rectangle(image, start, end, color, cv2.FILLED)


def _fit_text(text: str, letter: float, width: int) -> tuple[str, float, int, tuple[int, int]]:
    """Return a text in ASCII, its scale and weight for a width, and its size in pixels."""
    text = unicodedata.normalize("NFKD", text)
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = text.encode("ascii", "replace").decode()
    scale = letter / _LETTER_HEIGHT
    (text_width, _), _ = cv2.getTextSize(text, _FONT, scale, 1)
    scale *= min(1.0, 0.94 * width / max(text_width, 1))
    weight = max(1, round(1.6 * scale))
    (text_width, height), baseline = cv2.getTextSize(text, _FONT, scale, weight)
    return text, scale, weight, (text_width, height + baseline)


def _draw_text(
    image: np.ndarray, text: str, origin: tuple[int, int], scale: float, weight: int
) -> None:
    """Draw white letters with a black outline."""
    outline = weight + 2 * max(1, round(1.6 * scale))
    cv2.putText(image, text, origin, _FONT, scale, _BLACK, outline, cv2.LINE_AA)
    cv2.putText(image, text, origin, _FONT, scale, _WHITE, weight, cv2.LINE_AA)


def _move_inside(box: Box, image: np.ndarray) -> Box:
    x, y, width, height = box
    x = max(0, min(x, image.shape[1] - width))
    y = max(0, min(y, image.shape[0] - height))
    return x, y, width, height


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]
