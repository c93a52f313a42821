"""Faces turned upright and brought to one size and place, by five landmarks."""

from __future__ import annotations

import cv2
import numpy as np

from skfer.preprocessing._crop_geometry import cut_out

# Where the landmarks lie in a crop without margin, as fractions of its side: the median of what
# YuNet finds in 3,300 images of FER2013's Training part, made symmetric. So an aligned face is
# framed as those are, and as the box of Haar frames it. Order: skfer.detection.Detections.
_TEMPLATE = np.array([[0.315, 0.392], [0.685, 0.392], [0.5, 0.594], [0.353, 0.762], [0.647, 0.762]])

# Landmarks nearer to each other than this many pixels have no direction.
_SMALLEST_SPREAD = 2.0


def can_align(landmarks: np.ndarray) -> bool:
    """Whether landmarks (5, 2) are finite and lie apart, so that they have a direction."""
    return bool(np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).max() > _SMALLEST_SPREAD)


def aligned(image: np.ndarray, landmarks: np.ndarray, *, margin: float) -> np.ndarray:
    """A square crop in which the face is upright, in the resolution that it has in the image.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or float32
    landmarks : ndarray of shape (5, 2)
        In pixels of the image, in the order of `skfer.detection.Detections`.
    margin : float
        What is added on every side, as a fraction of the side.

    Returns
    -------
    ndarray of shape (side, side), (side, side, 1) or (side, side, 3)
        Beyond the edges of the image, its mirror image.
    """
    turn, shift = _similarity(_TEMPLATE, landmarks)
    face_side = max(1, round(abs(turn)))
    side = face_side + 2 * round(margin * face_side)
    # From pixels of the crop to those of the image; a pixel's centre lies half a pixel inside it.
    step = turn / face_side
    half = 0.5 + 0.5j
    start = turn * half + shift - step * (side / 2) * (1 + 1j)

    corners = start + step * side * np.array([0, 1, 1j, 1 + 1j])
    left, top = (int(np.floor(part.min())) - 1 for part in (corners.real, corners.imag))
    right, bottom = (int(np.ceil(part.max())) + 1 for part in (corners.real, corners.imag))
    part = cut_out(image, left, top, right - left, bottom - top)

    first = start + step * half - half - (left + top * 1j)
    to_part = np.array([[step.real, -step.imag, first.real], [step.imag, step.real, first.imag]])
    crop = cv2.warpAffine(
        part,
        to_part,
        (side, side),
        # The step is a pixel long, whatever the face's size: nothing shrinks that could alias.
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return crop.reshape(side, side, *image.shape[2:])


def _similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """The similarity of the plane that brings points nearest to others, by least squares.

    With points as complex numbers it is ``target = turn * source + shift``: linear regression,
    which is Umeyama's solution where mirroring is ruled out.
    """
    source, target = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    centered = source - source.mean()
    turn = np.vdot(centered, target) / np.vdot(centered, centered).real
    return turn, target.mean() - turn * source.mean()
