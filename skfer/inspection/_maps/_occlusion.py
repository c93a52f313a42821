"""`occlusion_sensitivity`: what happens to a probability when parts of the image are covered."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skfer.inspection._maps._seen_images import SeenImages, seen_images
from skfer.inspection._maps._stand_ins import stand_ins

# Copies of images, and their bytes, that are made to be predicted together.
_COPIES, _COPIED_BYTES = 512, 64e6
# The side of a patch, as a share of the image's shorter one.
_PATCH = 1 / 6


def occlusion_sensitivity(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    patch_size: int | tuple[int, int] | None = None,
    stride: int | None = None,
    fill: str | float = "mean",
) -> Bunch:
    """How much the probability of a class falls when a patch covers each part of the image [1]_.

    Parameters
    ----------
    estimator : classifier with `predict_proba`, or Pipeline that ends in one
        Fitted; any kind. Patches cover what comes out of its last cropper or resizer.
    X : batch of n images
        As the estimator takes them.
    target : label or array-like of shape (n,), default=None
        The class whose probability is followed, for all images or for each. None is the class
        predicted for each image.
    patch_size : int or (height, width), default=None
        In pixels; None is a sixth of the shorter side.
    stride : int, default=None
        Pixels from patch to patch; None is half of the patch's shorter side. Each image is
        predicted once for every patch: 121 times if it has 48 x 48 pixels.
    fill : {"mean", "blur"} or float, default="mean"
        What covers: the mean of the image, the image blurred, or a value on its scale.

    Returns
    -------
    Bunch
        `maps`, `images`, `target` and `proba`, as `saliency` returns them. A map holds the fall
        in probability, averaged over the patches that cover a pixel; below zero, the class
        became more probable.

    Raises
    ------
    TypeError
        If the estimator gives no probabilities.
    ValueError
        If `target` is unknown, or a patch is larger than the image.

    See Also
    --------
    region_importance : Of whole regions, over many images.

    References
    ----------
    .. [1] Zeiler, M. D. & Fergus, R. (2014). Visualizing and understanding convolutional networks.
       ECCV.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import occlusion_sensitivity
    >>> faces = make_faces(2, classes=["happy"], random_state=0)
    >>> found = occlusion_sensitivity(load_pretrained(), faces.images, patch_size=16)
    >>> found.maps.shape
    (2, 48, 48)
    """
    seen = seen_images(estimator, X)
    patch, step = _sizes(patch_size, stride, seen.images.shape[1:3])
    cover = stand_ins(seen.images, fill, "fill")
    proba = seen.proba()
    codes = seen.codes(target, proba)
    maps = np.empty(seen.images.shape[:3], np.float32)
    at_once = int(min(max(_COPIED_BYTES // seen.images[0].nbytes, 1), _COPIES))
    for start in range(0, len(maps), at_once):
        part = slice(start, start + at_once)
        before = proba[part][np.arange(len(codes[part])), codes[part]]
        total = np.zeros(maps[part].shape)
        times = np.zeros(total.shape[1:])
        for corners, covered in _covered(seen, cover, part, patch, step, at_once):
            said = covered[:, np.arange(len(before)), codes[part]]
            for (top, left), now in zip(corners, said, strict=True):
                area = np.s_[top : top + patch[0], left : left + patch[1]]
                total[:, *area] += (before - now)[:, None, None]
                times[area] += 1
        maps[part] = total / times
    return seen.explained(maps, codes, proba)


def _covered(
    seen: SeenImages,
    cover: np.ndarray,
    part: slice,
    patch: tuple[int, int],
    step: int,
    at_once: int,
) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """Upper left corners of some patches, and probabilities ``(patches, images, classes)``."""
    images = seen.images[part]
    tops, lefts = (
        _starts(side, length, step) for side, length in zip(images.shape[1:3], patch, strict=True)
    )
    corners = [(top, left) for top in tops for left in lefts]
    together = max(1, at_once // len(images))
    for first in range(0, len(corners), together):
        some = corners[first : first + together]
        copies = np.repeat(images[np.newaxis], len(some), axis=0)
        for copy, (top, left) in zip(copies, some, strict=True):
            area = np.s_[:, top : top + patch[0], left : left + patch[1]]
            copy[area] = cover[part][area]
        proba = seen.proba(copies.reshape(-1, *images.shape[1:]))
        yield some, proba.reshape(len(some), len(images), -1)


def _starts(side: int, length: int, step: int) -> list[int]:
    """Where patches begin along one side; the last ends at the edge."""
    starts = list(range(0, side - length + 1, step))
    return starts if starts[-1] == side - length else [*starts, side - length]


def _sizes(
    patch_size: int | tuple[int, int] | None, stride: int | None, image: tuple[int, ...]
) -> tuple[tuple[int, int], int]:
    if patch_size is None:
        patch_size = max(1, round(_PATCH * min(image)))
    sides = patch_size if isinstance(patch_size, tuple | list) else (patch_size, patch_size)
    if len(sides) != 2 or not all(
        isinstance(side, Integral) and 1 <= int(side) <= limit
        for side, limit in zip(sides, image, strict=True)
    ):
        raise ValueError(
            f"patch_size={patch_size!r} must be an int or (height, width), in pixels, from 1 to "
            f"the size of the images, {image[0]} x {image[1]}."
        )
    if stride is None:
        stride = max(1, min(sides) // 2)
    if not isinstance(stride, Integral) or not 1 <= int(stride) <= min(sides):
        raise ValueError(
            f"stride={stride!r} must be an int from 1 to the patch's shorter side, {min(sides)}: "
            "every pixel is to be covered."
        )
    return (int(sides[0]), int(sides[1])), int(stride)
