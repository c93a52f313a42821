"""How often sets of labels hold the right one, and how large they are for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skfer._labels import label_array
from skfer.metrics._probabilities import classes_of_columns


class PredictionSetScore(NamedTuple):
    """What `prediction_set_score` returns.

    Attributes
    ----------
    coverage : float
        Share of the images whose set holds the right label.
    mean_size : float
        Labels in a set, on average.
    single : float
        Share of the images whose set is one label: an answer.
    empty : float
        Share of the images whose set holds no label.

    Examples
    --------
    >>> from skfer.metrics import prediction_set_score
    >>> prediction_set_score(["happy", "sad"], [[True, False], [True, True]]).mean_size
    1.5
    """

    coverage: float
    mean_size: float
    single: float
    empty: float


def prediction_set_score(
    y_true: Any, y_set: Any, *, labels: Sequence[Any] | None = None
) -> PredictionSetScore:
    """Coverage and size of prediction sets.

    Parameters
    ----------
    y_true : array-like of shape (n,)
    y_set : array-like of bool, shape (n, n_classes)
        Whether each label is in the set of each image, as `skfer.ConformalClassifier.predict_set`
        returns it.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y_true`.

    Returns
    -------
    PredictionSetScore
        An image whose label is none of `labels` is not covered.

    Raises
    ------
    ValueError
        If labels, columns and images don't belong together.

    Examples
    --------
    >>> from skfer.metrics import prediction_set_score
    >>> y_set = [[True, False], [True, True], [True, False], [False, True]]
    >>> prediction_set_score(["happy", "happy", "sad", "sad"], y_set)
    PredictionSetScore(coverage=0.75, mean_size=1.25, single=0.75, empty=0.0)
    """
    covered, sets = covered_images(y_true, y_set, labels)
    sizes = sets.sum(axis=1)
    return PredictionSetScore(
        float(covered.mean()),
        float(sizes.mean()),
        float((sizes == 1).mean()),
        float((sizes == 0).mean()),
    )


def covered_images(
    y_true: Any, y_set: Any, labels: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Whether the set of each image holds its label, and the sets as an array of bool."""
    y, sets = label_array(y_true, "y_true"), np.asarray(y_set)
    names = classes_of_columns(y, labels)
    if sets.dtype != bool or sets.shape != (len(y), len(names)) or not len(y):
        raise ValueError(
            f"y_set has the shape {sets.shape} and dtype {sets.dtype}; expected bool of shape "
            f"({len(y)}, {len(names)}): a row for each label of y_true and a column for each of "
            f"{names.tolist()}. Name the class of every column: labels=classifier.classes_."
        )
    return (sets & (y[:, np.newaxis] == names)).any(axis=1), sets
