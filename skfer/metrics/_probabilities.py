"""Validation of labels and probabilities, for all metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from skfer._labels import label_array, label_codes

# Deviation from 1 of the sum of float32 probabilities or of their means.
_TOLERANCE = 1e-3


def check_probabilities(y_proba: Any) -> np.ndarray:
    """Return probabilities as float64, ``(n, n_classes)``."""
    if np.asarray(y_proba).dtype.kind in "US":
        raise ValueError(
            "y_proba holds text, such as labels: probabilities are expected, as predict_proba "
            "returns them."
        )
    proba = check_array(y_proba, input_name="y_proba", dtype=np.float64)
    if proba.shape[1] < 2:
        raise ValueError(
            f"y_proba has the shape {proba.shape}: at least 2 columns, one for each class, are "
            "expected, as predict_proba returns them."
        )
    wrong = np.flatnonzero((proba < 0).any(axis=1) | (abs(proba.sum(axis=1) - 1) > _TOLERANCE))
    if len(wrong):
        raise ValueError(
            f"y_proba[{wrong[0]}] is {proba[wrong[0]].tolist()}: these are not probabilities, "
            "which are at least 0 and sum to 1. scipy.special.softmax converts logits."
        )
    return proba


def column_classes(y_true: Any, labels: Sequence[Any] | None) -> np.ndarray:
    """Return the class of each column; None is the sorted labels of `y_true`."""
    return np.unique(label_array(y_true, "y_true")) if labels is None else column_or_1d(labels)


def codes_and_probabilities(
    y_true: Any, y_proba: Any, labels: Sequence[Any] | None, name: str = "y_true"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the true labels as column indices, and the probabilities."""
    proba = check_probabilities(y_proba)
    y = label_array(y_true, name)
    if len(y) != len(proba):
        raise ValueError(f"{name} holds {len(y)} labels, but y_proba has {len(proba)} rows.")
    names = column_classes(y, labels)
    if len(names) != proba.shape[1] or len(np.unique(names)) != len(names):
        source = f"{name} holds" if labels is None else "labels names"
        raise ValueError(
            f"y_proba has {proba.shape[1]} columns, but {source} {names.tolist()}. Name the class "
            "of each column: labels=classifier.classes_."
        )
    return label_codes(y, names, name=name, known="labels="), proba
