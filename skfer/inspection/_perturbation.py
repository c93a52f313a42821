"""Changes of probabilities under perturbed images: occlusion, deletion and insertion."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import cv2
import numpy as np
from scipy.integrate import trapezoid
from sklearn.utils import Bunch

from skfer._utils import check_int
from skfer.inspection._maps import PreparedImages, prepare_images

# Limits of the copies of images that are predicted together.
_MAX_COPIES, _MAX_COPIED_BYTES = 512, 64e6
# Default side of a patch, as a fraction of the shorter side: occlusion, deletion.
_OCCLUSION_PATCH, _DELETION_PATCH = 1 / 6, 1 / 12
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
        patch_size = max(1, round(_OCCLUSION_PATCH * min(image)))
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
                f"{parameter}={method!r} is not a value of uint8 images: it must be from 0 to 255."
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


def deletion_curve(
    estimator: Any,
    X: Any,
    maps: Any,
    *,
    target: Any = None,
    n_steps: int = 20,
    patch_size: int | None = None,
    baseline: str | float = "blur",
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probability of a class while an image is deleted in the order of a map [1]_.

    Square patches are deleted [2]_, those with the highest mean first. Scattered single pixels
    would form a pattern that networks react to, whatever the map is.

    Parameters
    ----------
    estimator : classifier with `predict_proba`, or Pipeline that ends in one
        Fitted, of any kind.
    X : batch of n images
        For images that are cropped already, pass ``pipeline[-1]`` and the `images` returned with
        the maps.
    maps : array-like of shape (n, H, W)
        Maps of the output of the last cropper or resizer, from any source. Patches of equal mean
        are deleted in a fixed random order.
    target : label or array-like of shape (n,), default=None
        The class whose probability is measured. None is the class predicted for each image.
    n_steps : int, default=20
        Number of steps; each image is predicted ``n_steps + 1`` times.
    patch_size : int, default=None
        Side of the patches in pixels; None is a twelfth of the image's shorter side.
    baseline : {"blur", "mean"} or float, default="blur"
        Content of deleted patches: the image blurred with a standard deviation of a tenth of the
        shorter side, the mean of the image, or a pixel value.

    Returns
    -------
    fractions : ndarray of shape (n_steps + 1,)
        Fraction of the patches that are deleted, from 0 to 1.
    proba : ndarray of shape (n, n_steps + 1)

    Raises
    ------
    ValueError
        If a parameter is out of range, or the maps do not match the images.
    TypeError
        If the estimator has no `predict_proba`.

    References
    ----------
    .. [1] Petsiuk, V., Das, A. & Saenko, K. (2018). RISE: randomized input sampling for
       explanation of black-box models. BMVC.
    .. [2] Samek, W. et al. (2017). Evaluating the visualization of what a deep neural network has
       learned. IEEE Transactions on Neural Networks and Learning Systems 28, 2660-2673.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import deletion_curve, grad_cam
    >>> pipeline = load_pretrained()
    >>> result = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> fractions, proba = deletion_curve(pipeline[-1], result.images, result.maps, n_steps=4)
    >>> fractions.tolist(), proba.shape
    ([0.0, 0.25, 0.5, 0.75, 1.0], (4, 5))
    """
    return _curve(
        estimator,
        X,
        maps,
        insert=False,
        target=target,
        n_steps=n_steps,
        patch_size=patch_size,
        baseline=baseline,
    )


def insertion_curve(
    estimator: Any, X: Any, maps: Any, **options: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the probability of a class while an image is inserted in the order of a map.

    Parameters
    ----------
    estimator, X, maps
        As in `deletion_curve`.
    **options : dict
        As in `deletion_curve`; the baseline is the first image.

    Returns
    -------
    fractions : ndarray of shape (n_steps + 1,)
        Fraction of the patches that are inserted, from 0 to 1.
    proba : ndarray of shape (n, n_steps + 1)

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, insertion_curve
    >>> pipeline = load_pretrained()
    >>> result = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> fractions, proba = insertion_curve(pipeline[-1], result.images, result.maps, n_steps=4)
    >>> fractions.tolist(), proba.shape
    ([0.0, 0.25, 0.5, 0.75, 1.0], (4, 5))
    """
    return _curve(estimator, X, maps, insert=True, **options)


def deletion_score(estimator: Any, X: Any, maps: Any, **options: Any) -> np.ndarray:
    """Compute the area under the deletion curve; lower is better.

    The score compares maps of the same images. Compare each with a random map too:
    ``np.random.default_rng(0).random(maps.shape)``.

    Parameters
    ----------
    estimator, X, maps
        As in `deletion_curve`.
    **options : dict
        As in `deletion_curve`.

    Returns
    -------
    ndarray of shape (n,)
        Area for each image, in [0, 1].

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import deletion_score, occlusion_sensitivity
    >>> pipeline = load_pretrained()
    >>> result = occlusion_sensitivity(pipeline, make_faces(8, random_state=0).images)
    >>> chance = np.random.default_rng(0).random(result.maps.shape)
    >>> good, bad = (
    ...     deletion_score(pipeline[-1], result.images, maps).mean()
    ...     for maps in (result.maps, chance)
    ... )
    >>> bool(good < bad)
    True
    """
    fractions, proba = deletion_curve(estimator, X, maps, **options)
    return trapezoid(proba, fractions, axis=1)


def insertion_score(estimator: Any, X: Any, maps: Any, **options: Any) -> np.ndarray:
    """Compute the area under the insertion curve; higher is better.

    Parameters
    ----------
    estimator, X, maps
        As in `deletion_curve`.
    **options : dict
        As in `deletion_curve`.

    Returns
    -------
    ndarray of shape (n,)
        Area for each image, in [0, 1].

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, insertion_score
    >>> pipeline = load_pretrained()
    >>> result = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> insertion_score(pipeline[-1], result.images, result.maps, n_steps=4).shape
    (4,)
    """
    fractions, proba = insertion_curve(estimator, X, maps, **options)
    return trapezoid(proba, fractions, axis=1)


def _curve(
    estimator: Any,
    X: Any,
    maps: Any,
    *,
    insert: bool,
    target: Any = None,
    n_steps: int = 20,
    patch_size: int | None = None,
    baseline: str | float = "blur",
) -> tuple[np.ndarray, np.ndarray]:
    check_int("n_steps", n_steps)
    prepared = prepare_images(estimator, X)
    images = prepared.images
    height, width = images.shape[1:3]
    side = min(height, width)
    if patch_size is None:
        patch_size = max(1, round(_DELETION_PATCH * side))
    if not isinstance(patch_size, Integral) or not 1 <= int(patch_size) <= side:
        raise ValueError(
            f"patch_size={patch_size!r} must be an int from 1 to the images' shorter side, {side}."
        )
    ranks = _patch_ranks(maps, images.shape[:3], int(patch_size))
    blank = replacement_pixels(images, baseline, "baseline")
    before, after = (blank, images) if insert else (images, blank)
    indices = prepared.class_indices(target, prepared.predict_proba())
    fractions = np.linspace(0, 1, n_steps + 1)
    curve = np.empty((len(images), len(fractions)))
    for step, fraction in enumerate(fractions):
        patches = ranks < round(fraction * ranks[0].size)
        changed = patches.repeat(patch_size, axis=1).repeat(patch_size, axis=2)
        changed = changed[:, :height, :width, np.newaxis]
        proba = prepared.predict_proba(np.where(changed, after, before))
        curve[:, step] = proba[np.arange(len(images)), indices]
    return fractions, curve


def _patch_ranks(maps: Any, shape: tuple[int, ...], side: int) -> np.ndarray:
    """Return the rank (n, n_rows, n_columns) of each patch of a map, the highest mean first."""
    maps = np.asarray(maps, np.float64)
    if maps.shape != shape:
        raise ValueError(
            f"maps has the shape {maps.shape}, but the classifier gets {shape[0]} images of "
            f"{shape[1]} x {shape[2]} pixels: one map for each is needed, {shape}."
        )
    if not np.isfinite(maps).all():
        raise ValueError("maps holds NaN or infinity, which can't be ordered.")
    for axis in (1, 2):  # patches at the right and lower edges may be smaller
        starts = np.arange(0, maps.shape[axis], side)
        lengths = np.diff([*starts, maps.shape[axis]])
        sums = np.add.reduceat(maps, starts, axis=axis)
        maps = sums / (lengths[:, np.newaxis] if axis == 1 else lengths)
    flat = maps.reshape(len(maps), -1)
    # Ties are broken at random: reading order would favour the upper left corner.
    order = np.lexsort((np.random.default_rng(0).random(flat.shape), -flat), axis=-1)
    return order.argsort(axis=-1).reshape(maps.shape)
