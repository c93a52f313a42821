"""Where expressions lie in the circumplex of affect: from probabilities to valence and arousal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from skfer._labels import canonical_label
from skfer._utils import shorten

# Degrees from pleasure (0) over arousal (90) to displeasure (180). The angles are ours: round
# figures in the order in which Russell (1980) found words for such feelings round his circle.
_DEGREES = {
    "happy": 20,
    "surprise": 70,
    "fear": 115,
    "angry": 130,
    "disgust": 150,
    "contempt": 165,
    "sad": 205,
}
# How far from the middle, also ours: a clear expression is short of the strongest there is.
_STRENGTH = 0.8

# Expression -> (valence, arousal).
CIRCUMPLEX: dict[str, tuple[float, float]] = {
    name: (
        round(_STRENGTH * math.cos(math.radians(degrees)), 3),
        round(_STRENGTH * math.sin(math.radians(degrees)), 3),
    )
    for name, degrees in _DEGREES.items()
} | {"neutral": (0.0, 0.0)}


def expressions_to_affect(probabilities: Any, classes: Sequence[str]) -> np.ndarray:
    """Valence and arousal from the probabilities of expressions: a baseline.

    Every expression has its place in the circumplex of affect [1]_; what is returned is the mean
    of these places, weighted by the probabilities. It needs no ratings to be learnt from, and
    can't tell a smile from a laugh: a `skfer.FacialAffectRegressor` should do better.

    Parameters
    ----------
    probabilities : array-like of shape (n, n_classes)
        As `predict_proba` returns them, or counts of votes: each row is divided by its sum.
    classes : sequence of n_classes str
        Name of the expression in each column, such as ``classifier.classes_``; synonyms are known.

    Returns
    -------
    ndarray of shape (n, 2)
        Valence, from unpleasant (-1) to pleasant (1), and arousal, from calm (-1) to excited (1).

    Raises
    ------
    ValueError
        If a class has no place in the circumplex, or a row has a negative number or only zeros.

    Notes
    -----
    The places are this package's own and were fitted to no data: 0.8 from the middle, at 20 degrees
    for happy, 70 for surprise, 115 for fear, 130 for angry, 150 for disgust, 165 for contempt and
    205 for sad, counted from pleasure towards arousal; neutral is the middle. Their order follows
    Russell's circle. They are not those that `skfer.datasets.make_faces` draws by.

    References
    ----------
    .. [1] Russell, J. A. (1980). A circumplex model of affect. Journal of Personality and Social
       Psychology 39, 1161-1178.

    Examples
    --------
    >>> from skfer import expressions_to_affect
    >>> expressions_to_affect([[1.0, 0.0], [0.5, 0.5]], ["happy", "neutral"]).tolist()
    [[0.752, 0.274], [0.376, 0.137]]
    """
    shares = np.asarray(probabilities, dtype=np.float64)
    names = [canonical_label(name) for name in classes]
    if shares.ndim != 2 or shares.shape[1] != len(names):
        raise ValueError(
            f"probabilities has the shape {shares.shape}, but classes names {len(names)} columns: "
            f"{shorten(list(classes))}."
        )
    unknown = [name for name in names if name not in CIRCUMPLEX]
    if unknown:
        raise ValueError(
            f"classes has {shorten(unknown[0])}, which has no place in the circumplex; known are "
            f"{', '.join(CIRCUMPLEX)}. Leave its column out."
        )
    totals = shares.sum(axis=1, keepdims=True)
    wrong = np.flatnonzero((shares < 0).any(axis=1) | ~(totals[:, 0] > 0))
    if len(wrong):
        raise ValueError(
            f"probabilities[{wrong[0]}] is {shorten(shares[wrong[0]].tolist())}: no number may be "
            "negative or NaN, and one must be greater than 0."
        )
    return shares / totals @ np.array([CIRCUMPLEX[name] for name in names])
