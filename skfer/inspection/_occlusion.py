"""Occlusion sensitivity: the change of a probability when patches of the image are covered."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
from sklearn.utils import Bunch

from skfer.inspection._maps import PreparedImages, prepare_images

# Limits of the copies of images that are predicted together.
_MAX_COPIES, _MAX_COPIED_BYTES = 512, 64e6
# Default side of a patch, as a fraction of the shorter side of the image.
_PATCH = 1 / 6
# Standard deviation of the blur, as a fraction of the shorter side.
_BLUR = 0.1


def occlusion_sensitivity(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    patch_size: int | tuple[int, int] | None = None,
    stride: int | None = None,
    fill: str | float = "mean",
) -> Bunch:
    """Compute the decrease in the probability of a class when parts of the image are covered [1]_.

    Parameters
    ----------
    estimator : classifier with `predict_proba`, or Pipeline that ends in one
        Fitted, of any kind. Patches cover the output of its last cropper or resizer.
    X : batch of n images
    target : label or array-like of shape (n,), default=None
        The class whose probability is measured, for all images or for each. None is the class
        predicted for each image.
    patch_size : int or (height, width), default=None
        Size in pixels; None is a sixth of the shorter side.
    stride : int, default=None
        Step between patches in pixels; None is half of the patch's shorter side. Each image is
        predicted once for each patch: 121 times for 48 x 48 pixels.
    fill : {"mean", "blur"} or float, default="mean"
        Content of the patches: the mean of the image, the blurred image, or a pixel value.

    Returns
    -------
    Bunch
        `maps`, `images`, `target` and `proba`, as `saliency` returns them. A map holds the
        decrease in probability, averaged over the patches that cover a pixel. It is negative
        where covering makes the class more probable.

    Raises
    ------
    TypeError
        If the estimator has no `predict_proba`.
    ValueError
        If `target` is unknown or a parameter is invalid.

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
    >>> result = occlusion_sensitivity(load_pretrained(), faces.images, patch_size=16)
    >>> result.maps.shape
    (2, 48, 48)
    """
    prepared = prepare_images(estimator, X)
    images = prepared.images
    patch, step = _patch_and_stride(patch_size, stride, images.shape[1:3])
    cover = replacement_pixels(images, fill, "fill")
    proba = prepared.predict_proba()
    indices = prepared.class_indices(target, proba)
    maps = np.empty(images.shape[:3], np.float32)
    batch_size = int(min(max(_MAX_COPIED_BYTES // images[0].nbytes, 1), _MAX_COPIES))
    for start in range(0, len(maps), batch_size):
        batch = slice(start, start + batch_size)
        rows = np.arange(len(indices[batch]))
        before = proba[batch][rows, indices[batch]]
        total = np.zeros(maps[batch].shape)
        n_patches = np.zeros(total.shape[1:])
        for corners, covered in _covered_proba(
            prepared, images[batch], cover[batch], patch, step, batch_size
        ):
            after = covered[:, rows, indices[batch]]
            for (top, left), decrease in zip(corners, before - after, strict=True):
                area = np.s_[top : top + patch[0], left : left + patch[1]]
                total[:, *area] += decrease[:, None, None]
                n_patches[area] += 1
        maps[batch] = total / n_patches
    return prepared.result(maps, indices, proba)


def _covered_proba(
    prepared: PreparedImages,
    images: np.ndarray,
    cover: np.ndarray,
    patch: tuple[int, int],
    step: int,
    batch_size: int,
) -> Iterator[tuple[list[tuple[int, int]], np.ndarray]]:
    """Yield upper left corners of patches and probabilities (n_corners, n_images, n_classes)."""
    tops, lefts = (
        [*range(0, side - length, step), side - length]  # the last patch ends at the edge
        for side, length in zip(images.shape[1:3], patch, strict=True)
    )
    corners = [(top, left) for top in tops for left in lefts]
    n_corners = max(1, batch_size // len(images))
    for start in range(0, len(corners), n_corners):
        part = corners[start : start + n_corners]
        copies = np.repeat(images[np.newaxis], len(part), axis=0)
        for copy, (top, left) in zip(copies, part, strict=True):
            area = np.s_[:, top : top + patch[0], left : left + patch[1]]
            copy[area] = cover[area]
        proba = prepared.predict_proba(copies.reshape(-1, *images.shape[1:]))
        yield part, proba.reshape(len(part), len(images), -1)


def _patch_and_stride(
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
            f"stride={stride!r} must be an int from 1 to the patch's shorter side, {min(sides)}, "
            "so that every pixel is covered."
        )
    return (int(sides[0]), int(sides[1])), int(stride)


def replacement_pixels(images: np.ndarray, method: Any, parameter: str) -> np.ndarray:
    """Return images without information about the face, for replacing pixels."""
    if isinstance(method, str) and method == "blur":
        deviation = _BLUR * min(images.shape[1:3])
        blurred = [cv2.GaussianBlur(image, (0, 0), deviation) for image in images]
        return np.stack(blurred).reshape(images.shape)
    if isinstance(method, str) and method == "mean":
        values = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    elif isinstance(method, Real) and not isinstance(method, bool):
        if images.dtype == np.uint8 and not 0 <= float(method) <= 255:
            raise ValueError(
                f"{parameter}={method!r} is no value of uint8 images: it must be from 0 to 255."
            )
        values = np.array(method)
    else:
        raise ValueError(
            f"{parameter}={method!r} must be 'blur', 'mean', or a number on the scale of the "
            "images."
        )
    if images.dtype == np.uint8:
        values = np.rint(values)
    return np.broadcast_to(values.astype(images.dtype), images.shape)
