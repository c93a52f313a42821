"""Whether two images show the same photo: recompressed, relit, cut a little otherwise, mirrored."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from skfer._pixel_range import PixelRange

# The side at which photos are compared in detail, and the part of one that is looked for in the
# other: what is left over is how far a cut may be shifted, a sixth of the side.
_SIDE, _PART = 48, 32
# Pixels of that side: light and shade wider than this tell faces alike, and are taken away.
_DETAIL = 4.0
# How much larger or smaller the same face may be.
_SCALES = (1.0, 0.9, 0.95, 1.05, 1.1)
# Less alike than this at the first scale, and no other makes a copy of it.
_HOPELESS = 0.5
# The side at which all images are held against all, and how many at a time.
_COARSE_SIDE, _CHUNK = 16, 512
# Gray levels: an image of less contrast is blank, and all blank ones are alike.
_BLANK = 1.0


class Thumbnails:
    """Small gray pictures of many images: 3.3 kB for each, whatever the images' size.

    Attributes
    ----------
    pixels : ndarray of shape (n, 48, 48), uint8
    coarse : ndarray of shape (n, 256), float32
        Even smaller ones, of mean 0 and length 1: their products are correlations. 0 if blank.
    """

    def __init__(self, images: Iterable[np.ndarray]):
        small = [_thumbnail(image) for image in images]
        self.pixels = np.stack(small)
        self.coarse = _directions(self.pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def mirrored(self) -> np.ndarray:
        """The even smaller ones of the mirrored images."""
        square = self.coarse.reshape(-1, _COARSE_SIDE, _COARSE_SIDE)
        return square[..., ::-1].reshape(len(self), -1)


def candidates(wanted: np.ndarray, among: np.ndarray, n_candidates: int) -> np.ndarray:
    """For each direction wanted, the places of those nearest to it, the nearest first.

    Parameters
    ----------
    wanted : ndarray of shape (n, 256)
    among : ndarray of shape (m, 256)
    n_candidates : int

    Returns
    -------
    ndarray of shape (n, min(n_candidates, m)), int
    """
    k = min(n_candidates, len(among))
    nearest = np.empty((len(wanted), k), np.int64)
    for start in range(0, len(wanted), _CHUNK):
        rows = wanted[start : start + _CHUNK]
        best = np.full((len(rows), 0), -np.inf, np.float32)
        places = np.empty((len(rows), 0), np.int64)
        # In pieces of both, so that memory doesn't grow with their product.
        for first in range(0, len(among), 16 * _CHUNK):
            alike = rows @ among[first : first + 16 * _CHUNK].T
            top = np.argpartition(-alike, min(k, alike.shape[1]) - 1, axis=1)[:, :k]
            best = np.hstack([best, np.take_along_axis(alike, top, axis=1)])
            places = np.hstack([places, top + first])
            order = np.argsort(-best, axis=1, kind="stable")[:, :k]
            best = np.take_along_axis(best, order, axis=1)
            places = np.take_along_axis(places, order, axis=1)
        nearest[start : start + _CHUNK] = places
    return nearest


def likeness(thumbnail: np.ndarray, others: Iterable[np.ndarray]) -> list[float]:
    """How alike the middle of a thumbnail is to others, wherever it lies in them.

    Parameters
    ----------
    thumbnail : ndarray of shape (48, 48), uint8
    others : iterable of such ndarray

    Returns
    -------
    list of float
        Correlations of the detail, the highest over shifts and scales; 1 for the same.
    """
    edge = (_SIDE - _PART) // 2
    part = _detail(thumbnail)[edge : edge + _PART, edge : edge + _PART]
    part = np.ascontiguousarray(part)
    if part.std() < _BLANK:
        return [0.0 for _ in others]
    return [_highest(part, _detail(other)) for other in others]


def _highest(part: np.ndarray, whole: np.ndarray) -> float:
    best = -1.0
    for scale in _SCALES:
        side = round(_SIDE * scale)
        scaled = whole if side == _SIDE else cv2.resize(whole, (side, side))
        best = max(best, float(cv2.matchTemplate(scaled, part, cv2.TM_CCOEFF_NORMED).max()))
        if best < _HOPELESS:
            break
    return min(best, 1.0)


def _detail(thumbnail: np.ndarray) -> np.ndarray:
    pixels = thumbnail.astype(np.float32)
    return pixels - cv2.GaussianBlur(pixels, (0, 0), _DETAIL)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    if image.ndim == 3:
        image = image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    image = PixelRange.of(image).eight_bits(image)
    return cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)


def _directions(pixels: np.ndarray) -> np.ndarray:
    factor = _SIDE // _COARSE_SIDE
    shape = (len(pixels), _COARSE_SIDE, factor, _COARSE_SIDE, factor)
    flat = pixels.reshape(shape).mean(axis=(2, 4), dtype=np.float32).reshape(len(pixels), -1)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.where(length < _BLANK * _COARSE_SIDE, 0, flat / np.maximum(length, 1e-6))
