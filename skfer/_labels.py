"""The names of expressions: one for each, its synonyms, the sets of data sets, and their codes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from skfer._utils import shorten

# Names of expressions in FER2013's order; contempt, which FER2013 lacks, is last.
EXPRESSIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")

# The usual sets of 5, 7 and 8 classes, in the same order.
EXPRESSION_SETS: dict[int, tuple[str, ...]] = {
    5: ("angry", "happy", "sad", "surprise", "neutral"),
    7: EXPRESSIONS[:7],
    8: EXPRESSIONS,
}

# The colours of plots, annotated photos and the web page. Any two differ also for colour-blind
# readers, and all are visible on white and on dark gray.
EXPRESSION_COLORS: dict[str, str] = {
    "angry": "#d62700",
    "disgust": "#547a51",
    "fear": "#ba759b",
    "happy": "#e9a710",
    "sad": "#1e7ddb",
    "surprise": "#6fbdd6",
    "neutral": "#6f6f6f",
    "contempt": "#7f4d8e",
}

# The codes of public data sets. Images with a label of None are left out.
EXPRESSION_CODES: dict[str, dict[Any, str | None]] = {
    "affectnet": dict(
        enumerate(
            (
                *("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt"),
                *(None, None, None),  # none, uncertain, no face
            )
        )
    ),
    "ck+": dict(
        enumerate(
            ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise"),
        )
    ),
    "fer2013": dict(enumerate(EXPRESSION_SETS[7])),
    "jaffe": {
        **{"AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy"},
        **{"NE": "neutral", "SA": "sad", "SU": "surprise"},
    },
    "kdef": {
        **{"AF": "fear", "AN": "angry", "DI": "disgust", "HA": "happy"},
        **{"NE": "neutral", "SA": "sad", "SU": "surprise"},
    },
    "raf-db": dict(
        enumerate(("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral"), start=1)
    ),
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
# Missing labels, after NumPy or pandas converted labels to strings.
_PRINTED_MISSING = ("", "nan", "NaN", "NaT", "<NA>")
_CANONICAL = {synonym: name for name in EXPRESSIONS for synonym in (name, *_SYNONYMS[name])}


def canonical_label(name: str) -> str:
    """Return the canonical name of an expression.

    Parameters
    ----------
    name : str
        "Happiness", "joy" or "happy"; case and surrounding blanks don't matter.

    Returns
    -------
    str
        One of `EXPRESSIONS`; unknown names are returned unchanged.

    Examples
    --------
    >>> from skfer.datasets import canonical_label
    >>> canonical_label("Happiness"), canonical_label("Karuna")
    ('happy', 'Karuna')
    """
    return _CANONICAL.get(str(name).strip().casefold(), str(name))


def code_table(codes: str | Mapping[Any, str | None]) -> dict[str, str | None]:
    """Return the labels of codes, for `decode_label`."""
    if isinstance(codes, str):
        if codes not in EXPRESSION_CODES:
            raise ValueError(
                f"codes={shorten(codes)} must be one of {sorted(EXPRESSION_CODES)} or a dict such "
                "as {1: 'happy', 2: 'sad'}."
            )
        codes = EXPRESSION_CODES[codes]
    return {_code_text(str(code)): label for code, label in codes.items()}


def decode_label(
    value: Any, codes: Mapping[str, str | None] | None = None, *, normalize: bool = True
) -> str | None:
    """Return the label that a code or name stands for."""
    if is_missing(value):
        raise ValueError("the label is missing")
    text = str(value).strip()
    if codes is None:
        return canonical_label(text) if normalize else text
    if (code := _code_text(text)) in codes:
        return codes[code]
    for name in (text, canonical_label(text)):
        if name in codes.values():
            return name
    known = ", ".join(f"{code} {label}" for code, label in codes.items() if label is not None)
    raise ValueError(f"the label is {shorten(value)}; the codes are {known}")


def _code_text(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text.casefold()
    return str(int(number)) if number.is_integer() else text


def canonical_labels(y: Iterable[Any]) -> np.ndarray:
    """Return the canonical names of expressions.

    Parameters
    ----------
    y : iterable of n str

    Returns
    -------
    ndarray of shape (n,), str
        As `canonical_label` names each.

    Raises
    ------
    ValueError
        If a name is missing; the message names its index.

    Examples
    --------
    >>> from skfer.datasets import canonical_labels
    >>> canonical_labels(["anger", "Sadness", "happy"]).tolist()
    ['angry', 'sad', 'happy']
    """
    names = label_array(y if hasattr(y, "__array__") else list(y))
    return np.array([canonical_label(name) for name in names], dtype=str)


def label_array(y: Any, name: str = "y") -> np.ndarray:
    """Return labels as a 1-D array, and refuse missing labels.

    A list is checked before it is converted: NumPy makes the string "nan" of NaN among strings.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 and not (labels.ndim == 2 and labels.shape[1] == 1):
        raise ValueError(
            f"{name} should be a 1d array: one label for each image. It has the shape "
            f"{labels.shape}. One-hot rows become labels by classes[{name}.argmax(axis=1)], where "
            "classes names the columns. Counts or shares of annotators go to the parameter votes "
            "of fit, beside one label for each image."
        )
    if isinstance(y, np.ma.MaskedArray):
        missing = np.ma.getmaskarray(y).ravel()
        given: Any = y.filled().ravel()
    elif isinstance(y, list | tuple) and labels.ndim == 1:
        missing, given = np.array([is_missing(label) for label in y], bool), y
    else:
        missing, given = _missing(labels.ravel()), labels.ravel()
    if missing.any():
        first = int(missing.argmax())
        shown = "masked" if isinstance(y, np.ma.MaskedArray) else _shown(given[first])
        raise ValueError(
            f"{name}[{first}] is {shown}: {missing.sum()} of {len(missing)} labels are missing. "
            "Leave these out."
        )
    return labels.ravel()


def group_array(groups: Any, name: str = "groups") -> np.ndarray:
    """Return groups as a 1-D array, and refuse missing ones."""
    values = np.asarray(groups)
    if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
        raise ValueError(f"{name} should be a 1d array, but has the shape {values.shape}.")
    # NumPy makes the string "nan" of NaN among strings.
    given = groups if isinstance(groups, list | tuple) and values.ndim == 1 else values.ravel()
    missing = np.array([is_missing(group) for group in given], bool)
    if missing.any():
        raise ValueError(
            f"{name}[{missing.argmax()}] is missing: {missing.sum()} of {len(missing)} groups are. "
            "Name a group for each of these images, or leave them out."
        )
    return values.ravel()


def warn_similar_classes(classes: Iterable[Any]) -> None:
    """Warn of class names that differ only in case or in spaces at the ends."""
    names: dict[str, list[str]] = {}
    for name in classes:
        if isinstance(name, str):
            names.setdefault(name.strip().casefold(), []).append(str(name))
    similar = [name for group in names.values() if len(group) > 1 for name in group]
    if similar:
        warnings.warn(
            f"Class names that differ only in case or spaces are different classes: "
            f"{shorten(similar)}. skfer.datasets.canonical_labels(y) gives each expression one "
            "name.",
            UserWarning,
            stacklevel=2,
        )


def encoded_labels_hint(y: np.ndarray, names: Iterable[Any]) -> str:
    """Return a hint for errors if `y` is encoded as numbers and a parameter names strings."""
    if np.asarray(y).dtype.kind not in "iu" or not all(isinstance(name, str) for name in names):
        return ""
    return (
        " VotingClassifier, StackingClassifier and cross_val_predict(method='predict_proba') of "
        "scikit-learn replace the labels in y by 0, 1, ... (indices of the sorted labels) before "
        "they call fit: name classes, class_weight and the columns of votes by these numbers "
        "there. skfer.evaluation.cross_val_label_report and cross_validate keep the labels."
    )


def _missing(labels: np.ndarray) -> np.ndarray:
    """Return which labels of an array are missing, of shape (n,)."""
    if labels.dtype.kind == "U":
        return np.isin(np.strings.strip(labels), _PRINTED_MISSING)
    if labels.dtype.kind in "fcmM":
        return labels != labels
    if labels.dtype.kind in "biuS":
        return np.zeros(len(labels), bool)
    return np.array([is_missing(label) for label in labels], bool)


def is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN, ``pandas.NA``, NaT, empty or a printed NaN."""
    if label is None:
        return True
    if isinstance(label, str):
        return label.strip() in _PRINTED_MISSING
    try:
        return bool(label != label)
    except TypeError:  # pandas.NA, which has no truth value
        return True
    except ValueError:  # an array: no label, but not a missing one
        return False


def _shown(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def shared_labels(a: Iterable[Any], b: Iterable[Any]) -> list[str]:
    """Return the expressions that two sets of labels share.

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
    """Return labels as indices into distinct classes in any order."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"{name} holds the label {shorten(unknown.tolist()[0])}, which is none of {known}"
            f"{shorten(classes.tolist())}{way_out}."
        )
    order = np.argsort(classes)
    return order[np.searchsorted(classes[order], y)]
