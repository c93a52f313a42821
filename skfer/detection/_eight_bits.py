"""`to_eight_bits`: an image as a face detector sees it."""

from __future__ import annotations

import numpy as np

from skfer._pixel_range import PixelRange


def to_eight_bits(image: np.ndarray) -> np.ndarray:
    """The image as a face detector sees it.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3), uint8 or float32

    Returns
    -------
    ndarray of shape (H, W) or (H, W, 3), uint8
        Floats in [0, 1] or [-1, 1] are stretched to [0, 255], floats in [0, 255] with a pixel
        above 16 are rounded, any others are stretched from their own minimum and maximum.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.detection import to_eight_bits
    >>> to_eight_bits(np.array([[0.0, 0.2, 1.0]], np.float32))
    array([[  0,  51, 255]], dtype=uint8)
    """
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    return PixelRange.of(image).eight_bits(image)
