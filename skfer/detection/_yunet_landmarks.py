"""Landmarks that follow a tilted face, by a second look at it.

The landmarks that YuNet finds on small faces hardly turn with them: of a tilt of 30 degrees they
show 6 where the face is 64 pixels high, and 24 where it is 192 (medians of 100 images of
FER2013). So each face is looked at again, enlarged, and turned back by the tilt that it showed.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

# The second look: a window of this side, in whose middle the face is so high.
_WINDOW_SIDE = 320
_FACE_SIDE = 192
# It is repeated, turned back by the tilt, if this was news of so many degrees.
_UPRIGHT = 5.0
_MOST_LOOKS = 2
# What is farther from the middle, in pixels of the window, is another face.
_OTHER_FACE = 64.0


def refined_landmarks(
    find: Callable[[np.ndarray], np.ndarray], image: np.ndarray, row: np.ndarray
) -> np.ndarray:
    """The landmarks of a face, as the second look at it shows them.

    Parameters
    ----------
    find : function
        From a gray or RGB image to YuNet's rows of box, landmarks and score.
    image : ndarray of shape (H, W) or (H, W, 3), uint8
    row : ndarray of shape (15,)
        The face, as the first look at the image showed it.

    Returns
    -------
    ndarray of shape (5, 2)
        In pixels of the image; those of the first look, if the second one shows no face.
    """
    landmarks = row[4:14].reshape(5, 2)
    center, height = row[:2] + row[2:4] / 2, float(max(row[2:4]))
    corner = np.maximum(np.floor(center - 1.2 * height), 0).astype(int)
    opposite = np.ceil(center + 1.2 * height).astype(int)
    if not (corner < opposite).all():
        return landmarks
    part = image[corner[1] : opposite[1], corner[0] : opposite[0]]
    if part.size == 0:
        return landmarks
    # The warp below aliases where it shrinks by much.
    shrunk = min(1.0, 1.5 * _FACE_SIDE / height)
    if shrunk < 1:
        part = cv2.resize(part, None, fx=shrunk, fy=shrunk, interpolation=cv2.INTER_AREA)
    middle = (center - corner) * shrunk

    tilt = 0.0
    for _ in range(_MOST_LOOKS):
        to_window = cv2.getRotationMatrix2D(middle.tolist(), tilt, _FACE_SIDE / (height * shrunk))
        to_window[:, 2] += _WINDOW_SIDE / 2 - middle
        window = cv2.warpAffine(
            part, to_window, (_WINDOW_SIDE, _WINDOW_SIDE), borderMode=cv2.BORDER_REPLICATE
        )
        rows = find(window)
        from_middle = np.hypot(*(rows[:, :2] + rows[:, 2:4] / 2 - _WINDOW_SIDE / 2).T)
        if from_middle.min(initial=np.inf) > _OTHER_FACE:
            break
        seen = rows[from_middle.argmin(), 4:14].reshape(1, 5, 2)
        back = cv2.invertAffineTransform(to_window)
        landmarks = cv2.transform(seen, back)[0] / shrunk + corner
        before, tilt = tilt, _tilt(landmarks)
        if abs(tilt - before) < _UPRIGHT:
            break
    return landmarks


def _tilt(landmarks: np.ndarray) -> float:
    """Degrees by which the face is turned clockwise, from its right side to its left."""
    across = landmarks[[1, 4]].sum(axis=0) - landmarks[[0, 3]].sum(axis=0)
    return float(np.degrees(np.arctan2(across[1], across[0])))
