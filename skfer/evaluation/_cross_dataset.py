"""`cross_dataset_matrix`: every classifier on every data set, by what their labels share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch, _safe_indexing, check_consistent_length, check_random_state
from sklearn.utils.validation import column_or_1d

from skfer._extras import import_extra
from skfer._labels import canonical_labels, label_array, shared_labels
from skfer.evaluation._confusions import (
    METRICS,
    check_interval,
    confusions,
    percentiles,
    resampled,
    scores,
)

if TYPE_CHECKING:
    import pandas as pd


def cross_dataset_matrix(
    estimators: Mapping[str, Any],
    datasets: Mapping[str, Any],
    *,
    outside: str = "restrict",
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Judge every classifier on every data set, by the expressions that both know.

    Images whose label a classifier doesn't know are left out, for no answer to them could be
    right. Synonyms ("anger", "angry") are one label, see `skfer.datasets.canonical_label`.

    Parameters
    ----------
    estimators : dict of str to fitted classifier or Pipeline
    datasets : dict of str to (X, y), (X, y, groups) or Bunch
        Images that no estimator was fitted on. Of a Bunch ``images`` or ``paths``, ``labels``
        and, if there, ``subjects`` are taken, as skfer's loaders name them. Where there are
        groups, intervals are of other groups and not of other images of the same ones.
    outside : {"restrict", "wrong"}, default="restrict"
        What becomes of answers that are no label of the data set. "restrict" takes the most
        probable of the shared labels, as if the classifier had been told which ones occur; it
        needs `predict_proba`. "wrong" counts them as wrong answers.
    n_bootstrap : int, default=1000
        Samples drawn for the intervals.
    confidence : float, default=0.95
        Share of the samples whose score lies in the interval.
    random_state : int, RandomState instance or None, default=0
        Decides the samples.

    Returns
    -------
    DataFrame
        A row for each estimator, data set and score, with the columns

        estimator, dataset : str
            Their names.
        metric : str
            "accuracy", "weighted_f1" or "balanced_accuracy".
        value, low, high : float
            The score, and its bootstrap interval.
        images : int
            Images that the score is of.
        left_out : int
            Images whose label the estimator doesn't know.
        groups : int
            Groups that were drawn for the interval; 0 if images were.
        answers_outside : float
            Share of the images for which the classifier, left to itself, answers what is no
            label of the data set: what "restrict" makes up for.
        n_labels : int
            How many labels are shared.
        labels : str
            The labels shared, joined by ", ".

    Raises
    ------
    ValueError
        If an estimator and a data set share fewer than 2 labels, or a data set is none.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skfer.inspection.CrossDatasetDisplay : The matrix as a picture.

    Notes
    -----
    Values in one row of the matrix are of different images and labels. Fewer labels are easier to
    tell apart: compare down a column, and there only where ``labels`` is the same.

    References
    ----------
    Efron, B. & Tibshirani, R. (1993). An introduction to the bootstrap. Chapman & Hall.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import cross_dataset_matrix
    >>> five = make_faces(20, classes=["angry", "happy", "sad", "surprise", "neutral"])
    >>> two = make_faces(10, classes=["happy", "contempt"])
    >>> guess = DummyClassifier(strategy="prior").fit(five.images, five.labels)
    >>> more = (five.images[:4], ["anger", "anger", "joy", "fear"])
    >>> table = cross_dataset_matrix({"guess": guess}, {"drawn": five, "more": more})
    >>> table.loc[table["metric"] == "accuracy", ["dataset", "images", "left_out", "labels"]]
      dataset  images  left_out                                labels
    0   drawn      20         0  angry, happy, sad, surprise, neutral
    3    more       3         1                          angry, happy
    """
    pd = import_extra("pandas", "cross_dataset_matrix", "evaluation")
    check_interval(n_bootstrap, confidence)
    if outside not in ("restrict", "wrong"):
        raise ValueError(f"outside={outside!r} must be 'restrict' or 'wrong'.")
    _check_names(estimators, datasets)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    rows = []
    for dataset, content in datasets.items():
        X, labels, groups = _content(dataset, content)
        for name, estimator in estimators.items():
            shared = shared_labels(estimator.classes_, np.unique(labels))
            if len(shared) < 2:
                raise ValueError(
                    f"estimators[{name!r}] knows {np.asarray(estimator.classes_).tolist()} and "
                    f"datasets[{dataset!r}] has {np.unique(labels).tolist()}: they share {shared}, "
                    "and at least 2 labels are needed. Name labels as skfer.datasets.EXPRESSIONS."
                )
            known = np.flatnonzero(np.isin(labels, shared))
            free, answers = _answers(name, estimator, _safe_indexing(X, known), shared, outside)
            codes = _codes(labels[known], shared)
            units = np.zeros(len(known), int)
            if groups is not None:
                units = np.unique(groups[known], return_inverse=True)[1]
            counts = confusions(codes, answers, len(shared), units)
            # The same draws for every estimator, so that those of one data set compare.
            drawn = resampled(counts, n_bootstrap, np.random.RandomState(seed))
            low, high = percentiles(scores(drawn), confidence)
            rows += [
                {
                    "estimator": name,
                    "dataset": dataset,
                    "metric": metric,
                    "value": float(value),
                    "low": float(low[place]),
                    "high": float(high[place]),
                    "images": len(known),
                    "left_out": len(labels) - len(known),
                    "groups": 0 if groups is None else len(counts),
                    "answers_outside": float((free == len(shared)).mean()),
                    "n_labels": len(shared),
                    "labels": ", ".join(shared),
                }
                for place, (metric, value) in enumerate(
                    zip(METRICS, scores(counts.sum(axis=0)), strict=True)
                )
            ]
    return pd.DataFrame(rows)


def _check_names(estimators: Any, datasets: Any) -> None:
    for argument, given in (("estimators", estimators), ("datasets", datasets)):
        if not isinstance(given, Mapping) or not given:
            raise ValueError(
                f"{argument} must be a dict with a name for each, such as {{'mine': ...}}."
            )
    for name, estimator in estimators.items():
        if not hasattr(estimator, "classes_"):
            raise ValueError(
                f"estimators[{name!r}] has no classes_: give a classifier that is fitted."
            )


def _content(name: str, content: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Images, canonical labels and groups of a data set."""
    if isinstance(content, Bunch):
        X = content.get("images", content.get("paths"))
        y, groups = content.get("labels"), content.get("subjects")
    elif isinstance(content, tuple) and len(content) in (2, 3):
        X, y, groups = (*content, None)[:3]
    else:
        X, y, groups = None, None, None
    if X is None or y is None:
        raise ValueError(
            f"datasets[{name!r}] must be (X, y), (X, y, groups) or a Bunch with images or paths, "
            "and labels."
        )
    labels = canonical_labels(label_array(y, f"labels of datasets[{name!r}]"))
    if groups is not None:
        groups = column_or_1d(groups)
    check_consistent_length(X, labels, groups)
    return X, labels, groups


def _codes(labels: Any, shared: list[str]) -> np.ndarray:
    """Places of labels in `shared`; its length for any other."""
    place = {label: code for code, label in enumerate(shared)}
    return np.array([place.get(label, len(shared)) for label in labels], int)


def _answers(
    name: str, estimator: Any, X: Any, shared: list[str], outside: str
) -> tuple[np.ndarray, np.ndarray]:
    """What is answered of all labels, and what counts; as codes."""
    if outside == "wrong":
        free = _codes(canonical_labels(estimator.predict(X)), shared)
        return free, free
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"estimators[{name!r}] has no predict_proba, without which its answers can't be "
            "restricted to the labels shared: outside='wrong' counts others as wrong."
        )
    proba = np.asarray(estimator.predict_proba(X))
    columns = _codes(canonical_labels(estimator.classes_), shared)
    free = columns[proba.argmax(axis=1)]
    # Two names of one expression are one label, as probable as both together.
    of_shared = np.stack([proba[:, columns == code].sum(axis=1) for code in range(len(shared))], 1)
    return free, of_shared.argmax(axis=1)
