"""How far labels are from belonging to a prediction set, and where the line is drawn."""

from __future__ import annotations

import math

import numpy as np


def nonconformity(y_proba: np.ndarray, method: str) -> np.ndarray:
    """How far each label of each image is from belonging to its set; low is near.

    Parameters
    ----------
    y_proba : ndarray of shape (n, n_classes)
    method : {"lac", "aps"}
        "lac": what is missing of the label's probability to 1. "aps": the sum of the
        probabilities of all labels before it, the most probable first; 0 for that.

    Returns
    -------
    ndarray of shape (n, n_classes)
    """
    proba = y_proba.astype(np.float64)
    if method == "lac":
        return 1 - proba
    falling = np.argsort(-proba, axis=1, kind="stable")
    ordered = np.take_along_axis(proba, falling, axis=1)
    before = np.hstack([np.zeros((len(proba), 1)), np.cumsum(ordered, axis=1)[:, :-1]])
    scores = np.empty_like(proba)
    np.put_along_axis(scores, falling, before, axis=1)
    return scores


def conformal_threshold(scores: np.ndarray, confidence: float) -> float:
    """What a new right label's score stays at or below with that probability.

    Infinite where there are too few scores: the new one may be the highest of them all.
    """
    # The share of a count may come out a hair above the count itself.
    rank = math.ceil((len(scores) + 1) * confidence - 1e-9)
    return math.inf if rank > len(scores) else float(np.sort(scores)[rank - 1])
