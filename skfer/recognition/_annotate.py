"""`annotate`: a picture with the faces that were found in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from skfer._images import read_image
from skfer.detection import to_eight_bits
from skfer.recognition._colors import color_of, rgb
from skfer.recognition._drawing import Color, FaceMark, draw_marks

if TYPE_CHECKING:
    import pandas as pd

# So many bars at most, and none for what is below this.
_BARS, _FAINTEST = 5, 0.01
_NEEDED = ("x", "y", "width", "height", "expression", "probability")


def annotate(image: Any, faces: pd.DataFrame, *, bars: bool = False) -> np.ndarray:
    """Draw the boxes and expressions of faces into a picture.

    Letters have an outline and boxes an edge, so that they can be read on any background; sizes
    follow the picture's, and labels are kept inside it.

    Parameters
    ----------
    image : array of shape (H, W) or (H, W, 3), path, or bytes
        The picture; it isn't changed.
    faces : pandas.DataFrame
        The rows of this picture in what `recognize` returned. A row without a face draws
        nothing. Where there is a column `face_id`, as in a table of a video, it is drawn too.
    bars : bool, default=False
        Whether to draw a bar for each of the (up to five) most probable classes beside the face.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
        A new picture, RGB.

    Raises
    ------
    ValueError
        If the picture can't be read, or a column is missing.

    Notes
    -----
    OpenCV's letters are those of ASCII: accents are left out of a label, and other signs appear
    as question marks.

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
    missing = [name for name in _NEEDED if name not in getattr(faces, "columns", ())]
    if missing:
        raise ValueError(
            f"faces has no column {missing[0]!r}: give the rows of one picture from the table "
            "that recognize returns."
        )
    picture = to_eight_bits(read_image(image, 0))
    picture = picture.copy() if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    draw_marks(picture, [_mark(row, bars) for row in _found(faces)])
    return picture


def _found(faces: pd.DataFrame) -> list[dict[str, Any]]:
    return faces[faces["expression"].notna()].to_dict("records")


def _mark(row: dict[str, Any], bars: bool) -> FaceMark:
    shares = _shares(row)
    classes = list(shares)
    label = row["expression"]
    return FaceMark(
        box=(int(row["x"]), int(row["y"]), int(row["width"]), int(row["height"])),
        text=face_label(label, row["probability"], row.get("face_id")),
        color=rgb(color_of(label, classes)),
        bars=most_probable(shares) if bars else {},
    )


def face_label(label: Any, probability: float, face_id: Any = None) -> str:
    """What is written beside a face: ``"happy 93 %"``, or ``"#2 happy 93 %"`` in a video."""
    number = "" if face_id is None else f"#{face_id} "
    return f"{number}{label} {100 * probability:.0f} %"


def most_probable(shares: Mapping[str, float]) -> dict[str, tuple[float, Color]]:
    """Bars of the classes worth one, the longest first."""
    classes = list(shares)
    worth = [name for name in classes if shares[name] >= _FAINTEST]
    ranked = sorted(worth, key=lambda name: -shares[name])[:_BARS]
    return {name: (shares[name], rgb(color_of(name, classes))) for name in ranked}


def _shares(row: dict[str, Any]) -> dict[str, float]:
    """The classes' columns: the numbers that follow the column `probability`."""
    names = list(row)
    return {
        name: row[name]
        for name in names[names.index("probability") + 1 :]
        if isinstance(row[name], float)
    }
