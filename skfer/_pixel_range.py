"""The scale of the pixels a network was fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skfer._documentation import page
from skfer._file_array import parts

# A float batch may leave the fitted range by this much of its width: noise and sharpening
# do, another scale goes further ([-1, 1] after [0, 1] by a whole width).
_SLACK = 0.5
_SLACK_OF_OWN_RANGE = 10.0
# Pixels no further from zero than this are not on 0-255 but on [0, 1] or [-1, 1], with some
# noise perhaps.
_SMALL = 2.0
# Photos on 0-255 have a pixel brighter than this among them; other numbers needn't.
_DIM = 16.0

# What is said to who has the floats of scikit-image or matplotlib.
_HOW = ', which floats in [0, 1] become by (X * 255).round().astype("uint8")'


@dataclass(frozen=True)
class PixelRange:
    """Lowest and highest value of the fitted scale: 0-255, 0-1, or what the data had."""

    low: float
    high: float

    @classmethod
    def of(cls, images: np.ndarray) -> PixelRange:
        """The scale that a batch is on, ``(n, height, width, channels)``."""
        if images.dtype == np.uint8:
            return cls(0.0, 255.0)
        low, high = _extremes(images)
        if low >= 0.0 and high <= 1.0:
            return cls(0.0, 1.0)
        if low >= 0.0 and _DIM < high <= 255.0:
            return cls(0.0, 255.0)
        return cls(low, high if high > low else low + 1.0)

    def bring(self, images: np.ndarray) -> np.ndarray:
        """The batch on this scale: uint8 is brought to it, floats must be on it already.

        Raises
        ------
        ValueError
            If floats are on another scale.
        """
        self.check(images)
        return self.scaled(images)

    def scaled(self, images: np.ndarray) -> np.ndarray:
        """A batch, or a part of one, that was checked: uint8 is brought to this scale."""
        if images.dtype != np.uint8 or (self.low, self.high) == (0.0, 255.0):
            return images
        width = np.float32(self.high - self.low)
        return images * (width / np.float32(255)) + np.float32(self.low)

    def check(self, images: np.ndarray) -> None:
        """Raise `ValueError` if a batch is of floats that are on another scale."""
        if images.dtype == np.uint8:
            return
        low, high = _extremes(images)
        common = (self.low, self.high) in ((0.0, 1.0), (0.0, 255.0))
        slack = (_SLACK if common else _SLACK_OF_OWN_RANGE) * (self.high - self.low)
        too_far = low < self.low - slack or high > self.high + slack
        # An even image is no evidence: it may be nearly black.
        too_small = self.high == 255.0 and -_SMALL <= low < high <= _SMALL
        if too_far or too_small:
            raise ValueError(
                f"X has values from {low:g} to {high:g}, but this estimator was fitted on "
                f"pixels from {self.low:g} to {self.high:g}. Give images on the scale of fit, "
                f"or as uint8{_HOW if too_small and low >= 0 and high <= 1 else ''}. "
                f"See {page('faq')}"
            )


def _extremes(images: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value."""
    each = [(part.min(), part.max()) for part in parts(images)]
    return float(min(low for low, _ in each)), float(max(high for _, high in each))
