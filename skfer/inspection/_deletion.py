"""Deletion and insertion curves: the quality of a map as a number."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from skfer.inspection._maps import prepare_images
from skfer.inspection._occlusion import replacement_pixels

# Default side of a patch, as a fraction of the shorter side of the image.
_PATCH = 1 / 12


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
    if not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"n_steps={n_steps!r} must be an int of at least 1.")
    prepared = prepare_images(estimator, X)
    images = prepared.images
    height, width = images.shape[1:3]
    side = min(height, width)
    if patch_size is None:
        patch_size = max(1, round(_PATCH * side))
    if not isinstance(patch_size, Integral) or not 1 <= patch_size <= side:
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
