"""Keys of images by content: equal for one image in every representation of the image contract."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from skfer._images import Images
from skfer._pixel_range import PixelRange


def content_keys(images: Images) -> list[bytes]:
    """Return a key of 16 bytes for each image.

    A key is the hash of the gray levels in 8 bits, so that it doesn't depend on the kind of
    number, the scale ([0, 255], [0, 1] or [-1, 1], one for all images), or on whether a gray image
    has a channel axis or three equal channels. A colour image has the key of its gray version.

    Parameters
    ----------
    images : sequence of n ndarray of shape (H, W), (H, W, 1) or (H, W, 3)
        Files are read one at a time.

    Returns
    -------
    list of n bytes
    """
    scale = float_scale(images)
    return [content_key(image, scale) for image in images]


def content_key(image: np.ndarray, scale: PixelRange) -> bytes:
    """Return the key of one image, whose floats are on the given scale."""
    gray = gray_levels(image, scale)
    key = hashlib.blake2b(f"{gray.shape}".encode(), digest_size=16)
    key.update(np.ascontiguousarray(gray).data)
    return key.digest()


def gray_levels(image: np.ndarray, scale: PixelRange) -> np.ndarray:
    """Return an image as uint8 of shape (H, W), from floats on the given scale."""
    image = scale.eight_bits(image)
    if image.ndim == 2:
        return image
    first = image[..., 0]
    if image.shape[-1] == 1 or (image == first[..., np.newaxis]).all():
        return first
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def float_scale(images: Images) -> PixelRange:
    """Return the scale of the images of a batch that are no uint8.

    All of them decide together, as a dark image alone tells no scale.
    """
    arrays = [images] if isinstance(images, np.ndarray) else images.arrays()
    low, high = 0.0, 0.0
    for array in map(np.asarray, arrays):
        if array.dtype != np.uint8 and array.size:
            low, high = min(low, float(array.min())), max(high, float(array.max()))
    dark = low >= 0.0 and 2.0 < high < 255.0
    return PixelRange(0.0, 255.0) if dark else PixelRange.of(np.array([low, high]))
