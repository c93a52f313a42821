"""The scale that pixels are on: the one place that decides it for floats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfer._storage import iter_blocks
from skfer._utils import page

# A float image may leave the fitted range by this much of its width: noise and sharpening
# do, another scale goes further ([-1, 1] after [0, 1] by a whole width).
_SLACK = 0.5
_SLACK_OF_OWN_RANGE = 10.0
# Pixels no further from zero than this are not on 0-255 but on [0, 1] or [-1, 1], with some
# noise perhaps.
_SMALL = 2.0
# Photos on 0-255 have a pixel brighter than this among them; other numbers needn't.
_DIM = 16.0
# Pixels on [-1, 1] span more than this part of it; small numbers around zero needn't.
_SPAN = 1.0

_TO_UINT8 = {
    (0.0, 1.0): '(X * 255).round().astype("uint8")',
    (0.0, 255.0): 'X.round().astype("uint8")',
    (-1.0, 1.0): '((X + 1) * 127.5).round().astype("uint8")',
}


@dataclass(frozen=True)
class PixelRange:
    """Lowest and highest value of a scale: 0 to 255, 0 to 1, -1 to 1, or what the data have."""

    low: float
    high: float

    @classmethod
    def from_images(cls, images: np.ndarray) -> PixelRange:
        """Return the scale of an image, or of a batch of images as a whole.

        uint8 is on 0 to 255. Floats are on 0 to 1 or on -1 to 1 if they fit into it, and on 0 to
        255 if their brightest is above 16 too. Any others have their own lowest and highest value
        as scale.
        """
        if images.dtype == np.uint8:
            return cls(0.0, 255.0)
        low, high = _extremes(images)
        if low >= 0.0 and high <= 1.0:
            return cls(0.0, 1.0)
        if -1.0 <= low < 0.0 and high <= 1.0 and high - low >= _SPAN:
            return cls(-1.0, 1.0)
        if low >= 0.0 and _DIM < high <= 255.0:
            return cls(0.0, 255.0)
        return cls(low, high if high > low else low + 1.0)

    def unit(self, images: np.ndarray) -> np.ndarray:
        """Return images of this scale on 0 to 1, float32; what lies outside is clipped."""
        scaled = (images.astype(np.float32) - np.float32(self.low)) / np.float32(
            self.high - self.low
        )
        return np.clip(scaled, 0, 1)

    def to_uint8(self, images: np.ndarray) -> np.ndarray:
        """Return images of this scale as uint8; what lies outside is clipped."""
        if images.dtype == np.uint8:
            return images
        return np.rint(self.unit(images) * np.float32(255)).astype(np.uint8)

    def uint8_expression(self) -> str | None:
        """Return the expression that makes uint8 of an array `X` on this scale, for an error."""
        return _TO_UINT8.get((self.low, self.high))

    def convert(self, images: np.ndarray) -> np.ndarray:
        """The batch on this scale: uint8 is brought to it, floats must be on it already."""
        self.check(images)
        return self.scaled(images)

    def scaled(self, images: np.ndarray) -> np.ndarray:
        """A batch, or a part of one, that was checked: uint8 is brought to this scale."""
        if images.dtype != np.uint8 or (self.low, self.high) == (0.0, 255.0):
            return images
        width = np.float32(self.high - self.low)
        return images * (width / np.float32(255)) + np.float32(self.low)

    def check(self, images: np.ndarray) -> None:
        """Raise `ValueError` if an image of a batch is of floats that are on another scale.

        Each image is judged by itself, so that the answer doesn't depend on the others. An even
        image is on every scale. On a scale of 0 to 255, an image without a pixel above 2 is taken
        for one on 0 to 1: as uint8 it may be as dark as it likes.
        """
        if images.dtype == np.uint8:
            return
        common = (self.low, self.high) in ((0.0, 1.0), (0.0, 255.0))
        slack = (_SLACK if common else _SLACK_OF_OWN_RANGE) * (self.high - self.low)
        start = 0
        for part in iter_blocks(images):
            axes = tuple(range(1, part.ndim))
            low, high = part.min(axis=axes), part.max(axis=axes)
            too_far = (low < self.low - slack) | (high > self.high + slack)
            too_small = (self.high == 255.0) & (low >= -_SMALL) & (low < high) & (high <= _SMALL)
            wrong = too_far | too_small
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                raise self._error(start + first, float(low[first]), float(high[first]), images)
            start += len(part)

    def _error(self, index: int, low: float, high: float, images: np.ndarray) -> ValueError:
        others = PixelRange.from_images(images)
        way = others.uint8_expression()
        if way is None or (others.low, others.high) == (self.low, self.high):
            # Of this scale as a whole: the image may be nearly black.
            way = _TO_UINT8.get((self.low, self.high))
        how = f", as made by {way}" if way else ""
        return ValueError(
            f"X[{index}] has values from {low:g} to {high:g}, but this estimator was fitted on "
            f"pixels from {self.low:g} to {self.high:g}. Give images on the scale of fit, or as "
            f"uint8{how}. See {page('faq')}"
        )


def _extremes(images: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value."""
    each = [(part.min(), part.max()) for part in iter_blocks(images)]
    return float(min(low for low, _ in each)), float(max(high for _, high in each))
