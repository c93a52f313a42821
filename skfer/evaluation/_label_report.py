"""`label_report`: which labels are probably wrong, by what was predicted of unseen images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import cross_validate
from sklearn.utils import _safe_indexing

from skfer._extras import import_extra
from skfer._labels import label_array
from skfer.metrics._probabilities import classes_of_columns, codes_and_probabilities

if TYPE_CHECKING:
    import pandas as pd


def label_report(y: Any, y_proba: Any, *, labels: Sequence[Any] | None = None) -> pd.DataFrame:
    """Rank labels by how probably they are wrong, and flag those that confident learning doubts.

    A class has a threshold: the mean probability that it gets in the images labelled with it.
    A label is flagged where the probability of another class reaches that one's threshold, of
    several the most probable, and exceeds that of the label itself [1]_. Classes that a model
    is less sure of, or that it favours, are thereby held to their own measure.

    Parameters
    ----------
    y : array-like of shape (n,)
        The labels given.
    y_proba : array-like of shape (n, n_classes)
        Probabilities from models that haven't seen the image, as
        ``cross_val_predict(..., method="predict_proba")`` returns them. Of images that a model
        was fitted on it repeats the labels, right or wrong.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y`.

    Returns
    -------
    DataFrame
        A row for each image, the most doubtful first, with the columns

        rank : int
            From 1 on: those flagged first, and by `margin`.
        row : int
            Where the image stands in `y`.
        given : label
            The label in `y`.
        suggested : label
            What a flagged image probably shows; for the others the label given.
        self_confidence : float
            Probability of the label given.
        margin : float
            The same less that of the most probable other class: from -1 (certainly another) to 1.
        issue : bool
            Whether the label is flagged.

    Raises
    ------
    ValueError
        If labels, columns and images don't belong together.
    ImportError
        If pandas is not installed.

    See Also
    --------
    cross_val_label_report : Makes the probabilities too.
    label_noise : How many labels of each class are probably another.
    votes_on_report : What people say of the labels flagged.
    skfer.inspection.LabelReportDisplay : The worst as a contact sheet.

    Notes
    -----
    A flag is a reason to look, not a verdict: a rare but right example of a class looks the same
    to a model. Don't drop flagged images from a test set, for that leaves those the model gets
    right.

    References
    ----------
    .. [1] Northcutt, C., Jiang, L. & Chuang, I. (2021). Confident learning: estimating
       uncertainty in dataset labels. Journal of Artificial Intelligence Research 70.

    Examples
    --------
    >>> from skfer.evaluation import label_report
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
    >>> label_report(["happy", "happy", "sad", "sad", "sad"], proba)
       rank  row  given suggested  self_confidence  margin  issue
    0     1    4    sad     happy              0.1    -0.8   True
    1     2    2    sad       sad              0.7     0.4  False
    2     3    1  happy     happy              0.8     0.6  False
    3     4    0  happy     happy              0.9     0.8  False
    4     5    3    sad       sad              0.9     0.8  False
    """
    pd = import_extra("pandas", "label_report", "evaluation")
    given, proba = codes_and_probabilities(y, y_proba, labels)
    names = classes_of_columns(y, labels)
    rows = np.arange(len(given))
    confidence = proba[rows, given]
    others = proba.copy()
    others[rows, given] = -np.inf
    margin = confidence - others.max(axis=1)
    confident = _confident_classes(given, proba)
    issue = (confident >= 0) & (confident != given) & (margin < 0)
    suggested = np.where(issue, confident, given)
    order = np.lexsort((margin, ~issue))
    return pd.DataFrame(
        {
            "rank": rows + 1,
            "row": order,
            "given": names[given[order]],
            "suggested": names[suggested[order]],
            "self_confidence": confidence[order],
            "margin": margin[order],
            "issue": issue[order],
        }
    )


def cross_val_label_report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: Any = None,
    n_jobs: int | None = None,
    params: dict[str, Any] | None = None,
) -> pd.DataFrame:
    """`label_report` of probabilities from cross-validation.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        It is cloned and fitted once for each fold.
    X : batch of n images
    y : array-like of shape (n,)
        The labels given. The estimator is fitted with them as they are, so that its `classes`,
        `class_weight` and ``params={"votes": ...}`` may name them.
    cv : int, splitter or iterable, default=5
        As in `sklearn.model_selection.cross_val_predict`: a partition of the images. Keep copies
        and images of one person in one fold, or the model has seen what it is asked about.
    groups : array-like of shape (n,), default=None
        For a `cv` that splits by groups.
    n_jobs : int, default=None
        Processes, each with some of the folds.
    params : dict, default=None
        Further parameters of the estimator's `fit`.

    Returns
    -------
    DataFrame
        As `label_report` returns it.

    Raises
    ------
    ValueError
        If a class has fewer images than there are folds.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skfer import HOGDescriptor
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import cross_val_label_report
    >>> faces = make_faces(80, classes=["happy", "surprise"], random_state=0)
    >>> y = faces.labels.copy()
    >>> y[7] = "happy" if y[7] == "surprise" else "surprise"
    >>> report = cross_val_label_report(
    ...     make_pipeline(HOGDescriptor(), LogisticRegression()), faces.images, y, cv=4
    ... )
    >>> int(report["row"][0])
    7
    """
    import_extra("pandas", "cross_val_label_report", "evaluation")
    y = label_array(y)
    # cross_val_predict would replace the labels by numbers, which classes, class_weight and votes
    # of the estimator don't know.
    folds = cross_validate(
        estimator,
        X,
        y,
        cv=cv,
        groups=groups,
        n_jobs=n_jobs,
        params=params,
        scoring=_not_scored,
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    tests = folds["indices"]["test"]
    if not np.array_equal(np.sort(np.concatenate(tests)), np.arange(len(y))):
        raise ValueError(f"cv={cv!r} must put every image into exactly one test set.")
    classes = np.unique(np.concatenate([fitted.classes_ for fitted in folds["estimator"]]))
    proba = np.zeros((len(y), len(classes)))
    for fitted, test in zip(folds["estimator"], tests, strict=True):
        # Of a class that a training set lacks, the probability is 0.
        columns = np.searchsorted(classes, fitted.classes_)
        proba[np.ix_(test, columns)] = fitted.predict_proba(_safe_indexing(X, test))
    return label_report(y, proba, labels=classes.tolist())


def _not_scored(estimator: Any, X: Any, y: Any) -> float:
    """Score every fold alike: `cross_validate` needs a scorer, the report no score."""
    return 0.0


def label_noise(y: Any, y_proba: Any, *, labels: Sequence[Any] | None = None) -> pd.DataFrame:
    """Estimate how labels and what the images show go together.

    It counts, for every label given, the classes whose thresholds the images reach, see
    `label_report`, and scales the counts to the number of images with that label [1]_.

    Parameters
    ----------
    y : array-like of shape (n,)
        The labels given.
    y_proba : array-like of shape (n, n_classes)
        Probabilities from models that haven't seen the image.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y`.

    Returns
    -------
    DataFrame of shape (n_classes, n_classes)
        Share of all images by label given (rows) and by class estimated (columns). All of it sums
        to 1; what lies off the diagonal is the share of wrong labels.

    Raises
    ------
    ValueError
        If labels, columns and images don't belong together.
    ImportError
        If pandas is not installed.

    References
    ----------
    .. [1] Northcutt, C., Jiang, L. & Chuang, I. (2021). Confident learning: estimating
       uncertainty in dataset labels. Journal of Artificial Intelligence Research 70.

    Examples
    --------
    >>> from skfer.evaluation import label_noise
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
    >>> label_noise(["happy", "happy", "sad", "sad", "sad"], proba)
    estimated  happy  sad
    given
    happy        0.4  0.0
    sad          0.2  0.4
    """
    pd = import_extra("pandas", "label_noise", "evaluation")
    given, proba = codes_and_probabilities(y, y_proba, labels)
    names = classes_of_columns(y, labels)
    confident = _confident_classes(given, proba)
    joint = np.zeros((len(names), len(names)))
    np.add.at(joint, (given[confident >= 0], confident[confident >= 0]), 1)
    sizes = np.bincount(given, minlength=len(names))
    # Of a label without a single confident image, nothing is known against it.
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1
    joint *= (sizes / joint.sum(axis=1) / len(given))[:, None]
    index, columns = pd.Index(names, name="given"), pd.Index(names, name="estimated")
    return pd.DataFrame(joint, index=index, columns=columns)


def _confident_classes(given: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """The most probable of the classes that reach their thresholds; -1 where none does."""
    sizes = np.bincount(given, minlength=proba.shape[1])
    sums = np.zeros(proba.shape[1])
    np.add.at(sums, given, proba[np.arange(len(given)), given])
    # A class that no image is labelled with has no threshold to reach.
    thresholds = np.divide(sums, sizes, out=np.full(len(sums), np.inf), where=sizes > 0)
    # Sums of floats: an image whose probability is the mean itself reaches it.
    reached = proba >= thresholds - 1e-6
    best = np.where(reached, proba, -np.inf).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)
