"""Crops of a face: by its box, or aligned by its landmarks."""

from __future__ import annotations

import cv2
import numpy as np

# Landmarks of a crop without margin, as fractions of its side: the median of YuNet's landmarks in
# 3,300 training images of FER2013, made symmetric. Aligned faces are thus framed like FER2013's
# images and like Haar's boxes. The order is that of skfer.detection.Detections.
_TEMPLATE = np.array([[0.315, 0.392], [0.685, 0.392], [0.5, 0.594], [0.353, 0.762], [0.647, 0.762]])

# Landmarks that span fewer pixels than this have no usable direction.
_MIN_SPREAD = 2.0


def expand_box(
    x: int, y: int, width: int, height: int, *, margin: float, square: bool
) -> tuple[int, int, int, int]:
    """Return a box with a margin, about the same centre to the pixel."""
    new_width, new_height = (max(width, height),) * 2 if square else (width, height)
    # Both sides grow by the same number of whole pixels, so that the centre does not move.
    new_width += 2 * round(margin * new_width)
    new_height += 2 * round(margin * new_height)
    return x + (width - new_width) // 2, y + (height - new_height) // 2, new_width, new_height


def crop_box(image: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    """Return a copy of a part of an image, mirrored beyond the edges."""
    if x >= 0 and y >= 0 and y + height <= image.shape[0] and x + width <= image.shape[1]:
        return image[y : y + height, x : x + width].copy()
    rows = _reflect(np.arange(y, y + height), image.shape[0])
    columns = _reflect(np.arange(x, x + width), image.shape[1])
    return image.take(rows, axis=0).take(columns, axis=1)


def _reflect(indices: np.ndarray, size: int) -> np.ndarray:
    """Return indices reflected at the ends of an axis of that size, as often as needed."""
    period = max(2 * (size - 1), 1)
    indices = np.abs(indices) % period
    return np.minimum(indices, period - indices)


def can_align(landmarks: np.ndarray) -> bool:
    """Return whether landmarks (5, 2) are finite and span more than two pixels."""
    return bool(np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).max() > _MIN_SPREAD)


def align_face(image: np.ndarray, landmarks: np.ndarray, *, margin: float) -> np.ndarray:
    """Return a square crop with the face upright, at its resolution in the image."""
    rotation, shift = _fit_similarity(_TEMPLATE, landmarks)
    face_side = max(1, round(abs(rotation)))
    side = face_side + 2 * round(margin * face_side)
    # Map from crop to image in complex numbers. A pixel's centre is half a pixel from its corner.
    step = rotation / face_side
    half = 0.5 + 0.5j
    start = rotation * half + shift - step * (side / 2) * (1 + 1j)

    corners = start + step * side * np.array([0, 1, 1j, 1 + 1j])
    left, top = (int(np.floor(axis.min())) - 1 for axis in (corners.real, corners.imag))
    right, bottom = (int(np.ceil(axis.max())) + 1 for axis in (corners.real, corners.imag))
    part = crop_box(image, left, top, right - left, bottom - top)

    first = start + step * half - half - (left + top * 1j)
    matrix = np.array([[step.real, -step.imag, first.real], [step.imag, step.real, first.imag]])
    crop = cv2.warpAffine(
        part,
        matrix,
        (side, side),
        # The step is always one pixel long: the warp does not shrink and cannot alias.
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return crop.reshape(side, side, *image.shape[2:])


def _fit_similarity(source: np.ndarray, target: np.ndarray) -> tuple[complex, complex]:
    """Return the least-squares similarity ``target = rotation * source + shift`` (Umeyama)."""
    source, target = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    centered = source - source.mean()
    rotation = np.vdot(centered, target) / np.vdot(centered, centered).real
    return rotation, target.mean() - rotation * source.mean()
