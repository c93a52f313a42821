"""The names of expressions: one for each, its synonyms, the sets of data sets, and their codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

# Every name the package uses itself, in FER2013's order, which ends before contempt.
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")

# The usual sets of 5, 7 and 8 classes, in the same order.
EXPRESSION_SETS: dict[int, tuple[str, ...]] = {
    5: ("angry", "happy", "sad", "surprise", "neutral"),
    7: EXPRESSIONS[:7],
    8: EXPRESSIONS,
}

_SYNONYMS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid"),
    "happy": ("happiness", "joy"),
    "sad": ("sadness",),
    "surprise": ("surprised",),
    "neutral": ("neutrality",),
    "contempt": ("contemptuous",),
}
_CANONICAL = {synonym: name for name in EXPRESSIONS for synonym in (name, *_SYNONYMS[name])}


def canonical_label(name: str) -> str:
    """The package's name for an expression.

    Parameters
    ----------
    name : str
        "Happiness", "joy" or "happy"; case and surrounding blanks don't matter.

    Returns
    -------
    str
        One of `EXPRESSIONS`. A name that is no synonym of any comes back as it is: data sets
        have classes of their own, which no vocabulary should rename or refuse.

    Examples
    --------
    >>> from skfer.datasets import canonical_label
    >>> canonical_label("Happiness"), canonical_label("Karuna")
    ('happy', 'Karuna')
    """
    return _CANONICAL.get(str(name).strip().casefold(), str(name))


def canonical_labels(y: Iterable[Any]) -> np.ndarray:
    """The package's names for the expressions of many images.

    Parameters
    ----------
    y : iterable of n str

    Returns
    -------
    ndarray of shape (n,), str
        As `canonical_label` names each.

    Examples
    --------
    >>> from skfer.datasets import canonical_labels
    >>> canonical_labels(["anger", "Sadness", "happy"]).tolist()
    ['angry', 'sad', 'happy']
    """
    return np.array([canonical_label(name) for name in y], dtype=str)


def shared_labels(a: Iterable[Any], b: Iterable[Any]) -> list[str]:
    """The expressions that two sets of labels have in common.

    What a classifier of one data set can be judged by on another one.

    Parameters
    ----------
    a, b : iterable of str
        Class names, or the labels of images; synonyms count as the same.

    Returns
    -------
    list of str
        Canonical names in the order of `EXPRESSIONS`; names outside it follow, sorted.

    Examples
    --------
    >>> from skfer.datasets import shared_labels
    >>> shared_labels(["anger", "joy", "contempt"], ["sad", "happy", "angry"])
    ['angry', 'happy']
    """
    shared = {canonical_label(name) for name in a} & {canonical_label(name) for name in b}
    known = [name for name in EXPRESSIONS if name in shared]
    return known + sorted(shared.difference(EXPRESSIONS))


def label_codes(
    y: np.ndarray, classes: np.ndarray, *, name: str, known: str, way_out: str = ""
) -> np.ndarray:
    """Labels as their places among classes that stand in any order, each once.

    Raises
    ------
    ValueError
        If a label is none of them; `name` is what holds the labels, `known` goes before the list
        of the classes, and `way_out` behind it.
    """
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"{name} holds the label {unknown.tolist()[0]!r}, which is none of {known}"
            f"{classes.tolist()}{way_out}."
        )
    order = np.argsort(classes)
    return order[np.searchsorted(classes[order], y)]
