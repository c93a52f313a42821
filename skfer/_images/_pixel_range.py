"""Scale of the pixels of float images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfer._storage import iter_blocks
from skfer._utils import page

# A float image may exceed the fitted range by this fraction of its width, because of noise or
# sharpening. Another scale exceeds it by more.
_SLACK = 0.5
_SLACK_OF_OWN_RANGE = 10.0
# Pixels up to this absolute value are on [0, 1] or [-1, 1], perhaps with noise.
_SMALL = 2.0
# Photos on 0-255 have a pixel brighter than this.
_DIM = 16.0
# Pixels on [-1, 1] have at least this range.
_SPAN = 1.0

_TO_UINT8 = {
    (0.0, 1.0): '(X * 255).round().astype("uint8")',
    (0.0, 255.0): 'X.round().astype("uint8")',
    (-1.0, 1.0): '((X + 1) * 127.5).round().astype("uint8")',
}
_ANY_TO_UINT8 = (
    '((X - low) / (high - low) * 255).round().astype("uint8"), where low and high are the values '
    "of black and white (0 and 65535 for 16 bits)"
)


@dataclass(frozen=True)
class PixelRange:
    """Lowest and highest value of a scale: 0 to 255, 0 to 1, -1 to 1, or those of the data."""

    low: float
    high: float

    @classmethod
    def from_images(cls, images: np.ndarray) -> PixelRange:
        """Return the scale of an image, or of a batch of images as a whole.

        Floats that fit into 0 to 1 or -1 to 1 are on that scale, floats up to 255 with a pixel
        above 16 on 0 to 255. Others have the scale of their minimum and maximum.
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
        """Return images of this scale on 0 to 1, float32, clipped."""
        scaled = (images.astype(np.float32) - np.float32(self.low)) / np.float32(
            self.high - self.low
        )
        return np.clip(scaled, 0, 1)

    def to_uint8(self, images: np.ndarray) -> np.ndarray:
        """Return images of this scale as uint8, clipped."""
        if images.dtype == np.uint8:
            return images
        return np.rint(self.unit(images) * np.float32(255)).astype(np.uint8)

    def uint8_expression(self) -> str | None:
        """Return the expression that makes uint8 of an array `X` on this scale, for an error."""
        return _TO_UINT8.get((self.low, self.high))

    def convert(self, images: np.ndarray) -> np.ndarray:
        """Validate the scale of floats, and convert uint8 to this scale."""
        self.check(images)
        return self.scaled(images)

    def scaled(self, images: np.ndarray) -> np.ndarray:
        """Convert uint8 to this scale; floats are returned unchanged."""
        if images.dtype != np.uint8 or (self.low, self.high) == (0.0, 255.0):
            return images
        width = np.float32(self.high - self.low)
        return images * (width / np.float32(255)) + np.float32(self.low)

    def check(self, images: np.ndarray) -> None:
        """Raise `ValueError` if a float image is on another scale.

        Each image is judged alone. A constant image is on every scale. For a scale of 0 to 255, an
        image without a pixel above 2 counts as one on 0 to 1.
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
        way = PixelRange.from_images(images).uint8_expression() or _ANY_TO_UINT8
        return ValueError(
            f"X[{index}] has values from {low:g} to {high:g}, but this estimator was fitted on "
            f"pixels from {self.low:g} to {self.high:g}. Give images on the scale of fit, or as "
            f"uint8, as made by {way}. See {page('faq')}"
        )


def _extremes(images: np.ndarray) -> tuple[float, float]:
    each = [(part.min(), part.max()) for part in iter_blocks(images)]
    return float(min(low for low, _ in each)), float(max(high for _, high in each))
