"""Reports on labels that are probably wrong, from predictions and from votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import cross_validate
from sklearn.utils import _safe_indexing, check_array, column_or_1d

from skfer._labels import label_array, label_codes
from skfer.metrics._probabilities import codes_and_probabilities, column_classes

if TYPE_CHECKING:
    import pandas as pd


def label_report(y: Any, y_proba: Any, *, labels: Sequence[Any] | None = None) -> pd.DataFrame:
    """Rank labels by the probability that they are wrong, and flag issues by confident learning.

    The threshold of a class is the mean probability of the class over the images with its label.
    A label is flagged if another class reaches its threshold and is more probable than the label
    [1]_. Classes that the model favours or disfavours are thus judged by their own threshold.

    Parameters
    ----------
    y : array-like of shape (n,)
        Given labels.
    y_proba : array-like of shape (n, n_classes)
        Out-of-sample probabilities, as ``cross_val_predict(..., method="predict_proba")`` returns
        them. A model repeats the labels of images it was fitted on.
    labels : sequence of n_classes labels, default=None
        The class of each column; None is the sorted labels of `y`.

    Returns
    -------
    DataFrame
        A row for each image, the most doubtful first, with the columns

        rank : int
            From 1; flagged images first, then by `margin`.
        row : int
            Row number of the image in `y`.
        given : label
            The label in `y`.
        suggested : label
            The probable class of a flagged image; the given label otherwise.
        self_confidence : float
            Probability of the given label.
        margin : float
            `self_confidence` minus the largest probability of another class, in [-1, 1].
        issue : bool
            True if the label is flagged.

    Raises
    ------
    ValueError
        If labels, columns and images do not match.

    See Also
    --------
    skfer.inspection.LabelReportDisplay : Plot of the most doubtful images.

    Notes
    -----
    A flag is a reason to check a label, as rare examples of a class are flagged too. Do not remove
    flagged images from a test set: the images that the model predicts correctly would remain.

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
    import pandas as pd

    given, proba = codes_and_probabilities(y, y_proba, labels, "y")
    names = column_classes(y, labels)
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
    """Compute a `label_report` from cross-validated probabilities.

    Parameters
    ----------
    estimator : classifier or Pipeline with `predict_proba`
        Cloned and fitted once for each fold.
    X : batch of n images
    y : array-like of shape (n,)
        Given labels. The estimator is fitted with them unchanged, so that its `classes`,
        `class_weight` and ``params={"votes": ...}`` may refer to them.
    cv : int, splitter or iterable, default=5
        As in `sklearn.model_selection.cross_val_predict`: a partition of the images. Copies, and
        images of one person, belong in one fold.
    groups : array-like of shape (n,), default=None
        Groups for the splitter.
    n_jobs : int, default=None
        Number of processes for the folds.
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
    y = label_array(y)
    # cross_val_predict would encode the labels as numbers, which the classes, class_weight and
    # votes of the estimator do not refer to.
    folds = cross_validate(
        estimator,
        X,
        y,
        cv=cv,
        groups=groups,
        n_jobs=n_jobs,
        params=params,
        scoring=_constant_score,
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    tests = folds["indices"]["test"]
    if not np.array_equal(np.sort(np.concatenate(tests)), np.arange(len(y))):
        raise ValueError(f"cv={cv!r} must put each image into exactly one test set.")
    classes = np.unique(np.concatenate([fitted.classes_ for fitted in folds["estimator"]]))
    proba = np.zeros((len(y), len(classes)))
    for fitted, test in zip(folds["estimator"], tests, strict=True):
        # A class that is missing in a training set has the probability 0.
        columns = np.searchsorted(classes, fitted.classes_)
        proba[np.ix_(test, columns)] = fitted.predict_proba(_safe_indexing(X, test))
    return label_report(y, proba, labels=classes.tolist())


def _constant_score(estimator: Any, X: Any, y: Any) -> float:
    """Return 0, as `cross_validate` needs a scorer."""
    return 0.0


def label_noise(y: Any, y_proba: Any, *, labels: Sequence[Any] | None = None) -> pd.DataFrame:
    """Estimate the joint distribution of given labels and true classes.

    Images are counted by given label and confident class, see `label_report`. The counts of each
    label are scaled to its number of images.

    Parameters
    ----------
    y, y_proba, labels
        As in `label_report`.

    Returns
    -------
    DataFrame of shape (n_classes, n_classes)
        Share of all images by given label (rows) and estimated class (columns). The sum is 1; the
        sum off the diagonal is the share of wrong labels.

    Raises
    ------
    ValueError
        If labels, columns and images do not match.

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
    import pandas as pd

    given, proba = codes_and_probabilities(y, y_proba, labels, "y")
    names = column_classes(y, labels)
    confident = _confident_classes(given, proba)
    joint = np.zeros((len(names), len(names)))
    np.add.at(joint, (given[confident >= 0], confident[confident >= 0]), 1)
    sizes = np.bincount(given, minlength=len(names))
    # Labels without confident images count as correct.
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1
    joint *= (sizes / joint.sum(axis=1) / len(given))[:, None]
    index, columns = pd.Index(names, name="given"), pd.Index(names, name="estimated")
    return pd.DataFrame(joint, index=index, columns=columns)


def _confident_classes(given: np.ndarray, proba: np.ndarray) -> np.ndarray:
    """Return the most probable class that reaches its threshold; -1 if none does."""
    n_classes, own = proba.shape[1], proba[np.arange(len(given)), given]
    sizes = np.bincount(given, minlength=n_classes)
    sums = np.bincount(given, weights=own, minlength=n_classes)
    # A class without labels has no threshold.
    thresholds = np.divide(sums, sizes, out=np.full(n_classes, np.inf), where=sizes > 0)
    # The tolerance is for rounding: a probability equal to the mean reaches it.
    reached = proba >= thresholds - 1e-6
    best = np.where(reached, proba, -np.inf).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)


def vote_agreement(y: Any, votes: Any, *, labels: Sequence[Any]) -> np.ndarray:
    """Compute the share of votes for the given label of each image.

    Parameters
    ----------
    y : array-like of shape (n,)
        Given labels.
    votes : array-like of shape (n, n_choices)
        Number or share of votes for each choice.
    labels : sequence of n_choices labels
        The choice of each column, such as `target_names` of `skfer.datasets.load_ferplus`. Votes
        for choices that are not labels, such as "unknown", count as disagreement.

    Returns
    -------
    ndarray of shape (n,), float64
        In [0, 1]; NaN without votes.

    Raises
    ------
    ValueError
        If labels, columns and images do not match, or votes are negative.

    Examples
    --------
    >>> from skfer.evaluation import vote_agreement
    >>> vote_agreement(["happy", "sad"], [[9, 1], [5, 5]], labels=["happy", "sad"])
    array([0.9, 0.5])
    """
    given, votes = _codes_and_votes(y, votes, labels)
    total = votes.sum(axis=1)
    own = votes[np.arange(len(given)), given]
    return np.divide(own, total, out=np.full(len(total), np.nan), where=total > 0)


def votes_on_report(report: Any, votes: Any, *, labels: Sequence[Any]) -> pd.DataFrame:
    """Compare flagged and other labels by the votes of annotators.

    Parameters
    ----------
    report : DataFrame
        Rows of a `label_report`.
    votes : array-like of shape (n, n_choices)
        Votes on all images of the data set.
    labels : sequence of n_choices labels
        The choice of each column.

    Returns
    -------
    DataFrame
        The rows "flagged", "others" and "all", with the columns

        images : int
            Number of images with votes.
        agreement : float
            Mean share of votes for the given label.
        other_majority : float
            Share of images with more votes for another choice than for the given label. In
            "flagged" it is the precision of the flags, in "all" the base rate.
        suggested_agreement : float
            Mean share of votes for the suggested label.

    Raises
    ------
    ValueError
        If report, labels and votes do not match.

    Examples
    --------
    >>> from skfer.evaluation import label_report, votes_on_report
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
    >>> report = label_report(["happy", "happy", "sad", "sad", "sad"], proba)
    >>> votes = [[10, 0], [8, 2], [4, 6], [0, 10], [9, 1]]
    >>> votes_on_report(report, votes, labels=["happy", "sad"])
             images  agreement  other_majority  suggested_agreement
    flagged       1       0.10             1.0                 0.90
    others        4       0.85             0.0                 0.85
    all           5       0.70             0.2                 0.86
    """
    import pandas as pd

    rows = report["row"].to_numpy()
    votes = check_array(votes, input_name="votes", dtype=np.float64)
    if len(rows) and rows.max() >= len(votes):
        raise ValueError(
            f"votes has {len(votes)} rows, but the report names row {rows.max()}: give the votes "
            "on all images that the report was computed on."
        )
    votes = votes[rows]
    given, _ = _codes_and_votes(report["given"], votes, labels)
    values = pd.DataFrame(
        {
            "agreement": vote_agreement(report["given"], votes, labels=labels),
            "other_majority": votes.max(axis=1) > votes[np.arange(len(given)), given],
            "suggested_agreement": vote_agreement(report["suggested"], votes, labels=labels),
        }
    )
    voted = votes.sum(axis=1) > 0
    flagged = report["issue"].to_numpy()
    parts = {"flagged": flagged & voted, "others": ~flagged & voted, "all": voted}
    means = pd.DataFrame({name: values[part].mean() for name, part in parts.items()}).T
    means.insert(0, "images", [int(part.sum()) for part in parts.values()])
    return means


def _codes_and_votes(y: Any, votes: Any, labels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    votes = check_array(votes, input_name="votes", dtype=np.float64)
    y, names = label_array(y), column_or_1d(labels)
    if len(y) != len(votes):
        raise ValueError(f"y holds {len(y)} labels, but votes has {len(votes)} rows.")
    if len(names) != votes.shape[1] or len(np.unique(names)) != len(names):
        raise ValueError(
            f"votes has {votes.shape[1]} columns, but labels names {names.tolist()}: name the "
            "choice of each column once."
        )
    if (votes < 0).any():
        row = int(np.flatnonzero((votes < 0).any(axis=1))[0])
        raise ValueError(f"votes[{row}] is {votes[row].tolist()}: votes must not be negative.")
    return label_codes(y, names, name="y", known="labels="), votes
