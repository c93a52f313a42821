"""Deletion and insertion: how good a map is, as a number."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy.integrate import trapezoid

from skfer.inspection._maps._seen_images import seen_images
from skfer.inspection._maps._square_order import order_of_squares
from skfer.inspection._maps._stand_ins import stand_ins

# The side of a square, as a share of the image's shorter one.
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
    """Probability of a class while an image is taken away, where a map is highest first [1]_.

    It goes in squares [2]_: single pixels, scattered over the image, would leave a pattern that
    networks react to, whatever the map says.

    Parameters
    ----------
    estimator : classifier with `predict_proba`, or Pipeline that ends in one
        Fitted; any kind.
    X : batch of n images
        As the estimator takes them. Cropped ones need no cropping again: give ``pipeline[-1]``
        the `images` that came with the maps.
    maps : array-like of shape (n, H, W)
        From any source, in the geometry of what comes out of the last cropper or resizer. Of
        each square the mean counts; squares of one value are ordered by lot, always the same.
    target : label or array-like of shape (n,), default=None
        The class whose probability is followed. None is the class predicted for each whole image.
    n_steps : int, default=20
        Steps from the first square to the last; each image is predicted once more than that.
    patch_size : int, default=None
        Side of the squares in pixels; None is a twelfth of the image's shorter side.
    baseline : {"blur", "mean"} or float, default="blur"
        What stands in for it: the image blurred, with a standard deviation of a tenth of the
        shorter side; the mean of the image; or a value on its scale.

    Returns
    -------
    shares : ndarray of shape (n_steps + 1,)
        Share of the squares that are taken away, from 0 to 1.
    proba : ndarray of shape (n, n_steps + 1)

    Raises
    ------
    ValueError
        If a parameter is out of range, or maps and images don't belong together.
    TypeError
        If the estimator gives no probabilities.

    See Also
    --------
    deletion_score : The area under the curve.

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
    >>> found = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> shares, proba = deletion_curve(pipeline[-1], found.images, found.maps, n_steps=4)
    >>> shares.tolist(), proba.shape
    ([0.0, 0.25, 0.5, 0.75, 1.0], (4, 5))
    """
    return _curve(estimator, X, maps, target, n_steps, patch_size, baseline, inserts=False)


def insertion_curve(
    estimator: Any,
    X: Any,
    maps: Any,
    *,
    target: Any = None,
    n_steps: int = 20,
    patch_size: int | None = None,
    baseline: str | float = "blur",
) -> tuple[np.ndarray, np.ndarray]:
    """Probability of a class while an image comes back, where a map is highest first.

    Parameters
    ----------
    estimator, X, maps, target, n_steps, patch_size, baseline
        As in `deletion_curve`; the baseline is what an image begins with.

    Returns
    -------
    shares : ndarray of shape (n_steps + 1,)
        Share of the squares that are there, from 0 to 1.
    proba : ndarray of shape (n, n_steps + 1)

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    See Also
    --------
    insertion_score : The area under the curve.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, insertion_curve
    >>> pipeline = load_pretrained()
    >>> found = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> shares, proba = insertion_curve(pipeline[-1], found.images, found.maps, n_steps=4)
    >>> shares.tolist(), proba.shape
    ([0.0, 0.25, 0.5, 0.75, 1.0], (4, 5))
    """
    return _curve(estimator, X, maps, target, n_steps, patch_size, baseline, inserts=True)


def deletion_score(
    estimator: Any,
    X: Any,
    maps: Any,
    *,
    target: Any = None,
    n_steps: int = 20,
    patch_size: int | None = None,
    baseline: str | float = "blur",
) -> np.ndarray:
    """Area under the curve of deletion: the lower, the better a map finds what counts.

    It tells which of several maps of the same images is better; compare a map with that of
    chance, ``np.random.default_rng(0).random(maps.shape)``, too.

    Parameters
    ----------
    estimator, X, maps, target, n_steps, patch_size, baseline
        As in `deletion_curve`.

    Returns
    -------
    ndarray of shape (n,)
        One area an image, in [0, 1].

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    See Also
    --------
    insertion_score : The higher, the better.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import deletion_score, occlusion_sensitivity
    >>> pipeline = load_pretrained()
    >>> found = occlusion_sensitivity(pipeline, make_faces(8, random_state=0).images)
    >>> chance = np.random.default_rng(0).random(found.maps.shape)
    >>> good, bad = (
    ...     deletion_score(pipeline[-1], found.images, maps).mean()
    ...     for maps in (found.maps, chance)
    ... )
    >>> bool(good < bad)
    True
    """
    return _area(_curve(estimator, X, maps, target, n_steps, patch_size, baseline, inserts=False))


def insertion_score(
    estimator: Any,
    X: Any,
    maps: Any,
    *,
    target: Any = None,
    n_steps: int = 20,
    patch_size: int | None = None,
    baseline: str | float = "blur",
) -> np.ndarray:
    """Area under the curve of insertion: the higher, the better a map finds what counts.

    Parameters
    ----------
    estimator, X, maps, target, n_steps, patch_size, baseline
        As in `deletion_curve`.

    Returns
    -------
    ndarray of shape (n,)
        One area an image, in [0, 1].

    Raises
    ------
    ValueError, TypeError
        As by `deletion_curve`.

    See Also
    --------
    deletion_score : The lower, the better.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import grad_cam, insertion_score
    >>> pipeline = load_pretrained()
    >>> found = grad_cam(pipeline, make_faces(4, random_state=0).images)
    >>> insertion_score(pipeline[-1], found.images, found.maps, n_steps=4).shape
    (4,)
    """
    return _area(_curve(estimator, X, maps, target, n_steps, patch_size, baseline, inserts=True))


def _area(curve: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Area under the curve of each image."""
    shares, proba = curve
    return trapezoid(proba, shares, axis=1)


def _curve(
    estimator: Any,
    X: Any,
    maps: Any,
    target: Any,
    n_steps: int,
    patch_size: int | None,
    baseline: Any,
    *,
    inserts: bool,
) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(n_steps, Integral) or n_steps < 1:
        raise ValueError(f"n_steps={n_steps!r} must be an int of at least 1.")
    seen = seen_images(estimator, X)
    height, width = seen.images.shape[1:3]
    if patch_size is None:
        patch_size = max(1, round(_PATCH * min(height, width)))
    if not isinstance(patch_size, Integral) or not 1 <= patch_size <= min(height, width):
        raise ValueError(
            f"patch_size={patch_size!r} must be an int from 1 to the images' shorter side, "
            f"{min(height, width)}."
        )
    ranks = order_of_squares(maps, seen.images.shape[:3], int(patch_size))
    blank = stand_ins(seen.images, baseline, "baseline")
    first, then = (blank, seen.images) if inserts else (seen.images, blank)
    codes = seen.codes(target, seen.proba())
    shares = np.linspace(0, 1, n_steps + 1)
    curve = np.empty((len(codes), len(shares)))
    for place, share in enumerate(shares):
        squares = ranks < round(share * ranks[0].size)
        changed = squares.repeat(patch_size, axis=1).repeat(patch_size, axis=2)
        changed = changed[:, :height, :width, np.newaxis]
        proba = seen.proba(np.where(changed, then, first))
        curve[:, place] = proba[np.arange(len(codes)), codes]
    return shares, curve
