"""`saliency`: the pixels that the score of a class changes most with."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skfer.inspection._maps._seen_images import network_of, seen_images

# Images that share a draw of noise: fixed, so that maps don't depend on the machine's memory.
_BLOCK = 64


def saliency(
    estimator: Any,
    X: Any,
    *,
    target: Any = None,
    smooth: int = 0,
    noise: float = 0.15,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """How strongly the score of a class changes with each pixel.

    The absolute gradient of the score with respect to the pixels, the largest over the channels
    [1]_; with `smooth`, of the mean gradient over so many copies of the image with noise [2]_.

    Parameters
    ----------
    estimator : FacialExpressionClassifier, or Pipeline that ends in one
        Fitted. One inside an `AbstainingClassifier`, a `FrozenEstimator` or a search is found.
    X : batch of n images
        As the estimator takes them.
    target : label or array-like of shape (n,), default=None
        The class whose score is followed, for all images or for each. None is the class
        predicted for each image.
    smooth : int, default=0
        Noisy copies of every image; 0 is the plain gradient. 25 to 50 are usual.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of the range of pixels fitted on.
    random_state : int, RandomState instance or None, default=0
        Decides the noise.

    Returns
    -------
    Bunch
        With the attributes

        maps : ndarray of shape (n, H, W), float32
            In the geometry of the images that the network gets: after cropper and resizer.
        images : ndarray of shape (n, H, W, channels)
            Those images.
        target : ndarray of shape (n,)
            The class that each map is for.
        proba : ndarray of shape (n,)
            Its probability.

    Raises
    ------
    TypeError
        If no network answers.
    ValueError
        If `target` or a parameter is none.

    See Also
    --------
    grad_cam : Coarser, and only where something speaks for the class.
    occlusion_sensitivity : In probabilities; for any classifier.
    deletion_score : How good a map is, as a number.

    Notes
    -----
    The score of a class is its logit less the mean of all logits, which is all that the
    probabilities of a softmax tell. Test-time augmentation takes no part.

    References
    ----------
    .. [1] Simonyan, K., Vedaldi, A. & Zisserman, A. (2014). Deep inside convolutional networks:
       visualising image classification models and saliency maps. ICLR workshop.
    .. [2] Smilkov, D. et al. (2017). SmoothGrad: removing noise by adding noise.
       arXiv:1706.03825.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import saliency
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> found = saliency(load_pretrained(), faces.images, target="happy")
    >>> found.maps.shape, found.images.shape
    ((3, 48, 48), (3, 48, 48, 1))
    """
    if not isinstance(smooth, Integral) or smooth < 0:
        raise ValueError(f"smooth={smooth!r} must be an int of at least 0.")
    if not isinstance(noise, Real) or noise < 0:
        raise ValueError(f"noise={noise!r} must be a number of at least 0.")
    seen = seen_images(estimator, X)
    classifier = network_of(seen, "saliency")
    from skfer.inspection._maps._gradients import graph_of, pixel_gradient

    proba = seen.proba()
    codes = seen.codes(target, proba)
    graph = graph_of(classifier, "saliency", pixel_gradient)
    pixels = classifier._on_fitted_scale(seen.images)
    if smooth:
        deviation = noise * (classifier.pixel_range_.high - classifier.pixel_range_.low)
        rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
        gradients = np.concatenate(
            [
                _mean_gradient(graph, pixels[part], codes[part], smooth, deviation, rng)
                for part in _blocks(len(pixels))
            ]
        )
    else:
        gradients = graph(pixels, codes)
    return seen.explained(np.abs(gradients).max(axis=-1), codes, proba)


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _mean_gradient(
    graph: Any,
    pixels: np.ndarray,
    codes: np.ndarray,
    copies: int,
    deviation: float,
    rng: np.random.Generator,
) -> np.ndarray:
    total = np.zeros(pixels.shape, np.float32)
    for _ in range(copies):
        grain = rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(deviation)
        total += graph(pixels + grain, codes)
    return total / copies
