"""Labels and probabilities as they come from a user, checked once for every metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from skfer._labels import label_array, label_codes

# Rows of float32, and averages of them, sum to 1 only so nearly.
_TOLERANCE = 1e-3


def checked_probabilities(y_proba: Any) -> np.ndarray:
    """The probabilities as float64, ``(n, n_classes)``.

    Raises
    ------
    ValueError
        If they are none: negative, or with rows that don't sum to 1.
    """
    proba = check_array(y_proba, input_name="y_proba", dtype=np.float64)
    if proba.shape[1] < 2:
        raise ValueError(
            f"y_proba has the shape {proba.shape}: a column for each of 2 classes or more is "
            "expected, as predict_proba returns them."
        )
    wrong = np.flatnonzero((proba < 0).any(axis=1) | (abs(proba.sum(axis=1) - 1) > _TOLERANCE))
    if len(wrong):
        raise ValueError(
            f"y_proba[{wrong[0]}] is {proba[wrong[0]].tolist()}: these are no probabilities, which "
            "are not negative and sum to 1. Logits become probabilities with scipy.special.softmax."
        )
    return proba


def classes_of_columns(y_true: Any, labels: Sequence[Any] | None) -> np.ndarray:
    """The class of each column; None are the sorted labels of `y_true`."""
    return np.unique(label_array(y_true, "y_true")) if labels is None else column_or_1d(labels)


def codes_and_probabilities(
    y_true: Any, y_proba: Any, labels: Sequence[Any] | None
) -> tuple[np.ndarray, np.ndarray]:
    """The true labels as places of columns, and the probabilities.

    Raises
    ------
    ValueError
        If labels, columns and images don't belong together.
    """
    proba = checked_probabilities(y_proba)
    y = label_array(y_true, "y_true")
    if len(y) != len(proba):
        raise ValueError(f"y_true holds {len(y)} labels, but y_proba has {len(proba)} rows.")
    names = classes_of_columns(y, labels)
    if len(names) != proba.shape[1] or len(np.unique(names)) != len(names):
        whence = "y_true holds" if labels is None else "labels names"
        raise ValueError(
            f"y_proba has {proba.shape[1]} columns, but {whence} {names.tolist()}. Name the class "
            "of every column: labels=classifier.classes_."
        )
    return label_codes(y, names, name="y_true", known="labels="), proba


def answers(codes: np.ndarray, proba: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of the class that would be answered, and whether it is the right one."""
    return proba.max(axis=1), proba.argmax(axis=1) == codes
