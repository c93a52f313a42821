"""What an image holds, as a short key: equal for equal pixels, from whatever file they come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def content_key(image: np.ndarray) -> bytes:
    """A key of the pixels; an axis of one channel makes no difference.

    Parameters
    ----------
    image : ndarray of shape (H, W), (H, W, 1) or (H, W, 3)

    Returns
    -------
    bytes
    """
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    key = hashlib.blake2b(f"{image.shape} {image.dtype}".encode(), digest_size=16)
    key.update(np.ascontiguousarray(image).data)
    return key.digest()


def content_keys(images: Iterable[np.ndarray]) -> list[bytes]:
    """The keys of many images; one at a time is in memory where they are read from files."""
    return [content_key(image) for image in images]
