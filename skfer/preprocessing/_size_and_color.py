"""Sizes as parameters name them, and colour left out of an image or put into it."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np

from skfer._images import with_channels
from skfer._utils import shorten


def two_lengths(value: Any, name: str, axes: str = "(vertical, horizontal)") -> tuple[int, int]:
    """A parameter that is one length for both axes, or one for each, as (vertical, horizontal)."""
    lengths = (value, value) if isinstance(value, Integral) else tuple(value)
    if len(lengths) != 2 or not all(_is_length(length) for length in lengths):
        raise ValueError(
            f"{name} must be a positive int or two of them, {axes}; got {shorten(value)}."
        )
    return int(lengths[0]), int(lengths[1])


def _is_length(length: Any) -> bool:
    return isinstance(length, Integral) and not isinstance(length, bool) and int(length) > 0


def to_gray(image: np.ndarray) -> np.ndarray:
    """The image as ``(H, W)``."""
    if image.ndim == 2:
        return image
    return image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """The image as ``(H, W, 3)``."""
    if image.ndim == 3 and image.shape[-1] == 3:
        return image
    return cv2.cvtColor(np.ascontiguousarray(with_channels(image)), cv2.COLOR_GRAY2RGB)
