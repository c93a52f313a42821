"""`cross_dataset_matrix`: scores of each classifier on each data set, for their shared labels."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch, _safe_indexing, check_consistent_length, check_random_state

from skfer._labels import canonical_labels, group_array, label_array, shared_labels
from skfer._utils import check_int

if TYPE_CHECKING:
    import pandas as pd

_METRICS = ("accuracy", "weighted_f1", "balanced_accuracy")


def cross_dataset_matrix(
    estimators: Mapping[str, Any],
    datasets: Mapping[str, Any],
    *,
    outside: str = "restrict",
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> pd.DataFrame:
    """Score each classifier on each data set, for the labels that both share.

    Images whose label is unknown to a classifier are left out. Synonyms such as "anger" and
    "angry" are one label, see `skfer.datasets.canonical_label`.

    Parameters
    ----------
    estimators : dict of str to fitted classifier or Pipeline
    datasets : dict of str to (X, y), (X, y, groups) or Bunch
        Images that no estimator was fitted on. A Bunch has ``images`` or ``paths``, ``labels``
        and optionally ``subjects``, as skfer's loaders return. With groups, the bootstrap draws
        groups instead of images.
    outside : {"restrict", "wrong"}, default="restrict"
        Treatment of predictions that are not a label of the data set. "restrict" replaces them by
        the most probable shared label; it needs `predict_proba`. "wrong" counts them as errors.
    n_bootstrap : int, default=1000
        Number of bootstrap samples for the intervals.
    confidence : float, default=0.95
        Confidence of the intervals.
    random_state : int, RandomState instance or None, default=0
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        A row for each estimator, data set and metric, with the columns

        estimator, dataset, metric : str
            `metric` is "accuracy", "weighted_f1" or "balanced_accuracy".
        value, low, high : float
            The score and its bootstrap interval.
        images, left_out : int
            Number of images scored, and of images whose label is unknown to the estimator.
        groups : int
            Number of groups in the bootstrap; 0 if it draws images, also of a single group.
        answers_outside : float
            Share of images whose unrestricted prediction is not a label of the data set.
        n_labels, labels : int and str
            Number of shared labels, and their names joined by ", ".

    Raises
    ------
    ValueError
        If an estimator and a data set share fewer than 2 labels, or an argument is invalid.

    See Also
    --------
    skfer.inspection.CrossDatasetDisplay : Plot of the matrix.

    Notes
    -----
    Scores of an estimator on several data sets are for different images and labels, and fewer
    labels are easier to distinguish. Compare estimators on one data set with equal ``labels``.

    References
    ----------
    Efron, B. & Tibshirani, R. (1993). An introduction to the bootstrap. Chapman & Hall.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import cross_dataset_matrix
    >>> five = make_faces(20, classes=["angry", "happy", "sad", "surprise", "neutral"])
    >>> guess = DummyClassifier(strategy="prior").fit(five.images, five.labels)
    >>> more = (five.images[:4], ["anger", "anger", "joy", "fear"])
    >>> table = cross_dataset_matrix({"guess": guess}, {"drawn": five, "more": more})
    >>> table.loc[table["metric"] == "accuracy", ["dataset", "images", "left_out", "labels"]]
      dataset  images  left_out                                labels
    0   drawn      20         0  angry, happy, sad, surprise, neutral
    3    more       3         1                          angry, happy
    """
    import pandas as pd

    check_interval(n_bootstrap, confidence)
    if outside not in ("restrict", "wrong"):
        raise ValueError(f"outside={outside!r} must be 'restrict' or 'wrong'.")
    _check_names(estimators, datasets)
    seed = int(check_random_state(random_state).randint(2**31 - 1))
    rows = []
    for dataset, content in datasets.items():
        X, labels, groups = _images_labels_groups(dataset, content)
        for name, estimator in estimators.items():
            shared = shared_labels(estimator.classes_, np.unique(labels))
            if len(shared) < 2:
                raise ValueError(
                    f"estimators[{name!r}] knows {np.asarray(estimator.classes_).tolist()} and "
                    f"datasets[{dataset!r}] has {np.unique(labels).tolist()}: they share {shared}, "
                    "and at least 2 labels are needed. Name labels as skfer.datasets.EXPRESSIONS."
                )
            known = np.flatnonzero(np.isin(labels, shared))
            free, predicted = _predict(name, estimator, _safe_indexing(X, known), shared, outside)
            units = np.zeros(len(known), int)
            if groups is not None:
                units = np.unique(groups[known], return_inverse=True)[1]
            shape = (units.max() + 1, len(shared), len(shared) + 1)
            counts = np.zeros(shape)
            np.add.at(counts, (units, _codes(labels[known], shared), predicted), 1)
            # The same seed for all estimators makes their scores on a data set comparable.
            samples = _bootstrap(counts, n_bootstrap, np.random.RandomState(seed))
            low, high = percentile_interval(_scores(samples), confidence)
            rows += [
                {
                    "estimator": name,
                    "dataset": dataset,
                    "metric": metric,
                    "value": value,
                    "low": metric_low,
                    "high": metric_high,
                    "images": len(known),
                    "left_out": len(labels) - len(known),
                    "groups": len(counts) if len(counts) > 1 else 0,
                    "answers_outside": float((free == len(shared)).mean()),
                    "n_labels": len(shared),
                    "labels": ", ".join(shared),
                }
                for metric, value, metric_low, metric_high in zip(
                    _METRICS, _scores(counts.sum(axis=0)), low, high, strict=True
                )
            ]
    return pd.DataFrame(rows)


def _check_names(estimators: Any, datasets: Any) -> None:
    for argument, value in (("estimators", estimators), ("datasets", datasets)):
        if not isinstance(value, Mapping) or not value:
            raise ValueError(
                f"{argument} must be a dict with a name for each, such as {{'mine': ...}}."
            )
    for name, estimator in estimators.items():
        if not hasattr(estimator, "classes_"):
            raise ValueError(f"estimators[{name!r}] has no classes_: give a fitted classifier.")


def _images_labels_groups(name: str, content: Any) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """Return the images, canonical labels and groups of a data set."""
    X = y = groups = None
    if isinstance(content, Bunch):
        X = content.get("images", content.get("paths"))
        y, groups = content.get("labels"), content.get("subjects")
    elif isinstance(content, tuple) and len(content) in (2, 3):
        X, y, groups = (*content, None)[:3]
    if X is None or y is None:
        raise ValueError(
            f"datasets[{name!r}] must be (X, y), (X, y, groups) or a Bunch with images or paths, "
            "and labels."
        )
    labels = canonical_labels(label_array(y, f"labels of datasets[{name!r}]"))
    if groups is not None:
        groups = group_array(groups, f"groups of datasets[{name!r}]")
    check_consistent_length(X, labels, groups)
    return X, labels, groups


def _codes(labels: Any, shared: list[str]) -> np.ndarray:
    """Return the indices of labels in `shared`; its length for any other label."""
    codes = {label: code for code, label in enumerate(shared)}
    return np.array([codes.get(label, len(shared)) for label in labels], int)


def _predict(
    name: str, estimator: Any, X: Any, shared: list[str], outside: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the codes of the unrestricted predictions, and of those that are scored."""
    if outside == "wrong":
        free = _codes(canonical_labels(estimator.predict(X)), shared)
        return free, free
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"estimators[{name!r}] has no predict_proba, so its predictions can't be restricted "
            "to the shared labels. Use outside='wrong', which counts other labels as errors."
        )
    proba = np.asarray(estimator.predict_proba(X))
    columns = _codes(canonical_labels(estimator.classes_), shared)
    free = columns[proba.argmax(axis=1)]
    # The probabilities of synonyms are added.
    restricted = [proba[:, columns == code].sum(axis=1) for code in range(len(shared))]
    return free, np.argmax(restricted, axis=0)


def _scores(counts: np.ndarray) -> np.ndarray:
    """Compute the metrics of many confusion matrices, without classes that have no images."""
    correct = np.diagonal(counts, axis1=-2, axis2=-1)
    images = counts.sum(axis=-1)
    predicted = counts[..., :-1].sum(axis=-2)
    total = images.sum(axis=-1)
    recall = correct / np.maximum(images, 1)
    f1 = 2 * correct / np.maximum(images + predicted, 1)
    return np.stack(
        [
            correct.sum(axis=-1) / total,
            (f1 * images).sum(axis=-1) / total,
            recall.sum(axis=-1) / (images > 0).sum(axis=-1),
        ],
        axis=-1,
    )


def _bootstrap(counts: np.ndarray, n_bootstrap: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw bootstrap samples of confusion matrices: of cells, or of groups."""
    n_groups = len(counts)
    if n_groups == 1:
        cells = counts.ravel()
        n_images = int(cells.sum())
        samples = rng.multinomial(n_images, cells / n_images, n_bootstrap)
    else:
        draws = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), n_bootstrap)
        samples = draws @ counts.reshape(n_groups, -1)
    return samples.reshape(n_bootstrap, *counts.shape[1:])


def percentile_interval(values: np.ndarray, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the central interval of values along the first axis."""
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(values, [tail, 100 - tail], axis=0)
    return low, high


def check_interval(n_bootstrap: int, confidence: float) -> None:
    """Validate the parameters of a bootstrap interval."""
    check_int("n_bootstrap", n_bootstrap)
    if not isinstance(confidence, Real) or not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} must be between 0 and 1, such as 0.95.")
