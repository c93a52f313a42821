"""Which of several faces of a picture is the one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skfer.detection import Detections


def _largest(faces: Detections, image_shape: tuple[int, ...]) -> int:
    return 0  # they come largest first


def _central(faces: Detections, image_shape: tuple[int, ...]) -> int:
    x, y, width, height = faces.boxes.T
    from_center = np.hypot(x + width / 2 - image_shape[1] / 2, y + height / 2 - image_shape[0] / 2)
    return int(from_center.argmin())


def _confident(faces: Detections, image_shape: tuple[int, ...]) -> int:
    return int(faces.scores.argmax())


# Of faces, largest first, and the shape of their picture, the index of one; of equal ones the
# largest.
SELECTIONS: dict[str, Callable[[Detections, tuple[int, ...]], int]] = {
    "largest": _largest,
    "central": _central,
    "confident": _confident,
}
