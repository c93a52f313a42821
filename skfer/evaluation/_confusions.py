"""Scores and their intervals from counts of labels and answers alone."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np

METRICS = ("accuracy", "weighted_f1", "balanced_accuracy")


def confusions(
    codes: np.ndarray, answers: np.ndarray, n_classes: int, units: np.ndarray
) -> np.ndarray:
    """Counts of labels (rows) and answers (columns) in every unit that is drawn as a whole.

    Parameters
    ----------
    codes : ndarray of shape (n,), int
        Labels, below `n_classes`.
    answers : ndarray of shape (n,), int
        Answers; `n_classes` stands for any that is none of the classes.
    n_classes : int
    units : ndarray of shape (n,), int
        The unit of each image, from 0.

    Returns
    -------
    ndarray of shape (n_units, n_classes, n_classes + 1), float
    """
    shape = (int(units.max()) + 1, n_classes, n_classes + 1)
    places = np.ravel_multi_index((units, codes, answers), shape)
    return np.bincount(places, minlength=int(np.prod(shape))).reshape(shape).astype(float)


def scores(counts: np.ndarray) -> np.ndarray:
    """Accuracy, weighted F1 and balanced accuracy; classes without images are left out.

    Parameters
    ----------
    counts : ndarray of shape (..., n_classes, n_classes + 1)

    Returns
    -------
    ndarray of shape (..., 3)
        In the order of `METRICS`, as scikit-learn defines them.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    images = counts.sum(axis=-1)
    answered = counts[..., :-1].sum(axis=-2)
    total = images.sum(axis=-1)
    present = images > 0
    recall = np.where(present, right / np.maximum(images, 1), 0)
    f1 = 2 * right / np.maximum(images + answered, 1)
    return np.stack(
        [
            right.sum(axis=-1) / total,
            (f1 * images).sum(axis=-1) / total,
            recall.sum(axis=-1) / present.sum(axis=-1),
        ],
        axis=-1,
    )


def resampled(counts: np.ndarray, n_bootstrap: int, rng: np.random.RandomState) -> np.ndarray:
    """The counts of as many units drawn with replacement, again and again.

    Drawing images is drawing cells of the table of counts: where every image is a unit of its
    own, pass their sum as the only unit.

    Parameters
    ----------
    counts : ndarray of shape (n_units, n_classes, n_classes + 1)
    n_bootstrap : int
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_bootstrap, n_classes, n_classes + 1)
    """
    n_units = len(counts)
    if n_units == 1:
        cells = counts.ravel()
        n_images = int(cells.sum())
        return rng.multinomial(n_images, cells / n_images, n_bootstrap).reshape(
            n_bootstrap, *counts.shape[1:]
        )
    drawn = rng.multinomial(n_units, np.full(n_units, 1 / n_units), n_bootstrap)
    return (drawn @ counts.reshape(n_units, -1)).reshape(n_bootstrap, *counts.shape[1:])


def percentiles(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """The lower and upper end of the middle share of the values, along the first axis."""
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return low, high


def check_interval(n_bootstrap: int, confidence: float) -> None:
    """Refuse numbers that no interval can be made with."""
    if not isinstance(n_bootstrap, Integral) or n_bootstrap < 1:
        raise ValueError(f"n_bootstrap={n_bootstrap!r} must be an int of at least 1.")
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} must be between 0 and 1, such as 0.95.")
