"""Where a crop lies in its picture, and what it shows beyond the edges."""

from __future__ import annotations

import numpy as np


def enlarged(
    x: int, y: int, width: int, height: int, *, margin: float, square: bool
) -> tuple[int, int, int, int]:
    """The box about the same centre, to the pixel, with the margin on every side."""
    new_width, new_height = (max(width, height),) * 2 if square else (width, height)
    # Whole pixels on each side, the same left and right: the centre stays where it was.
    new_width += 2 * round(margin * new_width)
    new_height += 2 * round(margin * new_height)
    return x + (width - new_width) // 2, y + (height - new_height) // 2, new_width, new_height


def cut_out(image: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    """A copy of one part of the image, which goes on as its mirror image beyond the edges."""
    if x >= 0 and y >= 0 and y + height <= image.shape[0] and x + width <= image.shape[1]:
        return image[y : y + height, x : x + width].copy()
    rows = _mirrored(np.arange(y, y + height), image.shape[0])
    columns = _mirrored(np.arange(x, x + width), image.shape[1])
    return image.take(rows, axis=0).take(columns, axis=1)


def _mirrored(positions: np.ndarray, length: int) -> np.ndarray:
    """Positions on an endless line of mirror images, as positions in the first one."""
    period = max(2 * (length - 1), 1)
    inside = np.abs(positions) % period
    return np.minimum(inside, period - inside)
