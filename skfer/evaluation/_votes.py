"""What people who voted on images say of the labels given to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array, column_or_1d

from skfer._extras import import_extra
from skfer._labels import label_array, label_codes

if TYPE_CHECKING:
    import pandas as pd


def vote_agreement(y: Any, votes: Any, *, labels: Sequence[Any]) -> np.ndarray:
    """Share of the voters who gave an image the label it has.

    Parameters
    ----------
    y : array-like of shape (n,)
        The labels given.
    votes : array-like of shape (n, n_choices)
        How many voted for each choice, or which share.
    labels : sequence of n_choices labels
        The choice of each column, such as `target_names` of `skfer.datasets.load_ferplus`. Those
        that are none of the labels, like "unknown", count as disagreement.

    Returns
    -------
    ndarray of shape (n,), float64
        In [0, 1]; NaN where nobody voted.

    Raises
    ------
    ValueError
        If labels, columns and images don't belong together, or there are negative votes.

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
    """Compare flagged labels with the others by the votes of people.

    Parameters
    ----------
    report : DataFrame
        As `label_report` returns it; it may be of some of the images.
    votes : array-like of shape (n, n_choices)
        Votes on all the images that the report's column `row` counts.
    labels : sequence of n_choices labels
        The choice of each column.

    Returns
    -------
    DataFrame
        A row each for "flagged", "others" and "all", with the columns

        images : int
            With votes.
        agreement : float
            Mean share of the voters who gave the label given.
        other_majority : float
            Share of images for which another choice has more votes than the label given. Among
            the flagged it is the precision of the flags, as the voters see it; in "all" it is
            the base rate.
        suggested_agreement : float
            Mean share of the voters who gave the label suggested.

    Raises
    ------
    ValueError
        If report, labels and votes don't belong together.
    ImportError
        If pandas is not installed.

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
    pd = import_extra("pandas", "votes_on_report", "evaluation")
    rows = report["row"].to_numpy()
    votes = check_array(votes, input_name="votes", dtype=np.float64)
    if len(rows) and rows.max() >= len(votes):
        raise ValueError(
            f"votes has {len(votes)} rows, but the report names row {rows.max()}: give the votes "
            "on all the images that the report was made of."
        )
    votes = votes[rows]
    given, _ = _codes_and_votes(report["given"], votes, labels)
    own = votes[np.arange(len(given)), given]
    figures = pd.DataFrame(
        {
            "agreement": vote_agreement(report["given"], votes, labels=labels),
            "other_majority": votes.max(axis=1) > own,
            "suggested_agreement": vote_agreement(report["suggested"], votes, labels=labels),
        }
    )
    voted = votes.sum(axis=1) > 0
    flagged = report["issue"].to_numpy()
    chosen = {"flagged": flagged & voted, "others": ~flagged & voted, "all": voted}
    means = pd.DataFrame({name: figures[part].mean() for name, part in chosen.items()}).T
    means.insert(0, "images", [int(part.sum()) for part in chosen.values()])
    return means


def _codes_and_votes(y: Any, votes: Any, labels: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    votes = check_array(votes, input_name="votes", dtype=np.float64)
    y, names = label_array(y), column_or_1d(labels)
    if len(y) != len(votes):
        raise ValueError(f"y holds {len(y)} labels, but votes has {len(votes)} rows.")
    if len(names) != votes.shape[1] or len(np.unique(names)) != len(names):
        raise ValueError(
            f"votes has {votes.shape[1]} columns, but labels names {names.tolist()}: name the "
            "choice of every column once."
        )
    if (votes < 0).any():
        place = int(np.flatnonzero((votes < 0).any(axis=1))[0])
        raise ValueError(f"votes[{place}] is {votes[place].tolist()}: votes are not negative.")
    return label_codes(y, names, name="y", known="labels="), votes
