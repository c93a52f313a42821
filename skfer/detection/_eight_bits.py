"""`to_eight_bits`: an image as a face detector sees it."""

from __future__ import annotations

import numpy as np


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """The image as a face detector sees it.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or float32

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), uint8
        Floats in [0, 1] are stretched to [0, 255], floats in [0, 255] are rounded, any others
        are stretched from their own minimum and maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import to_eight_bits
    >>> to_eight_bits(np.array([[0.0, 0.2, 1.0]], np.float32))
    array([[  0,  51, 255]], dtype=uint8)
    """
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and high <= 255:
        low, high = 0.0, 255.0
    width = (high - low) or 1.0
    return np.rint((image - low) * (255.0 / width)).astype(np.uint8)
