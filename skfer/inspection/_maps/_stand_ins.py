"""What stands in for pixels that are taken away."""

from __future__ import annotations

from numbers import Real
from typing import Any

import cv2
import numpy as np

# Standard deviation of the blur, as a share of the shorter side.
_BLUR = 0.1


def stand_ins(images: np.ndarray, how: Any, parameter: str) -> np.ndarray:
    """Images that tell nothing of the face, to take pixels from.

    Parameters
    ----------
    images : ndarray of shape (n, H, W, channels)
    how : {"blur", "mean"} or float
        The image blurred; its mean, channel by channel; or that value everywhere.
    parameter : str
        What the user calls it, for the error.

    Returns
    -------
    ndarray of shape (n, H, W, channels)
        Of the images' own kind of number.
    """
    if isinstance(how, str) and how == "mean":
        even = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
        return np.broadcast_to(_as_kind(even, images.dtype), images.shape)
    if isinstance(how, str) and how == "blur":
        deviation = _BLUR * min(images.shape[1:3])
        blurred = [cv2.GaussianBlur(image, (0, 0), deviation) for image in images]
        return np.stack(blurred).reshape(images.shape)
    if isinstance(how, Real) and not isinstance(how, bool):
        if images.dtype == np.uint8 and not 0 <= float(how) <= 255:
            raise ValueError(f"{parameter}={how!r} is no value of uint8 images: 0 to 255.")
        return np.broadcast_to(_as_kind(np.array(how), images.dtype), images.shape)
    raise ValueError(
        f"{parameter}={how!r} must be 'blur', 'mean', or a number on the scale of the images."
    )


def _as_kind(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return np.rint(values).astype(dtype) if dtype == np.uint8 else values.astype(dtype)
