"""`group_report`: accuracy and recall by group, and the gaps between groups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest
from sklearn.utils import Bunch, check_consistent_length, check_random_state

from skfer._labels import group_array, label_array
from skfer._utils import check_int
from skfer.evaluation._cross_dataset import check_interval, percentile_interval

if TYPE_CHECKING:
    import pandas as pd


def group_report(
    y_true: Any,
    y_pred: Any,
    *,
    groups: Any,
    min_images: int = 30,
    n_bootstrap: int = 1000,
    confidence: float = 0.95,
    random_state: int | np.random.RandomState | None = 0,
) -> Bunch:
    """Compute accuracy and recall of each class by group, and the gaps between groups.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        True and predicted labels. An abstention is an error.
    groups : array-like of shape (n,)
        The group of each image, such as an age band, skin tone, camera or source.
    min_images : int, default=30
        A class with fewer images in a group is marked as small and left out of the gaps.
    n_bootstrap : int, default=1000
        Number of bootstrap samples for the intervals of gaps, and of permutations for p-values.
    confidence : float, default=0.95
        Confidence of the intervals.
    random_state : int, RandomState instance or None, default=0
        Seed of the samples and permutations.

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        groups : DataFrame
            A row for each group and class, and one for all classes of a group (class "all"), with
            the columns ``group``, ``class``, ``metric`` ("recall" or "accuracy"), ``value`` (NaN
            without images), ``low``, ``high``, ``images`` and ``small``.
        gaps : DataFrame
            A row for each class and "all": ``class``, ``metric``, ``gap`` (highest minus lowest
            value; NaN with fewer than two groups that are not small), ``low``, ``high``,
            ``p_value``, ``lowest`` and ``highest`` (groups), and ``compared`` (number of groups).
        small : list of (group, class)
            Groups and classes that are left out of the gaps.

    Raises
    ------
    ValueError
        If lengths differ, groups have missing values, or there is only one group.

    See Also
    --------
    skfer.inspection.GroupDisplay : Plot of the report.

    Notes
    -----
    Values have Wilson intervals [1]_: a bootstrap interval has no width if all of a few
    predictions are correct. Gaps have intervals from a bootstrap within groups. A gap is never
    negative, and chance makes it larger the smaller the groups are. The p-value accounts for this:
    it is the probability of a gap at least as large if groups are permuted among the images of
    each class. With many classes, some p-values are small by chance.

    References
    ----------
    .. [1] Wilson, E. B. (1927). Probable inference, the law of succession, and statistical
       inference. Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> from skfer.evaluation import group_report
    >>> y_true = ["happy", "sad"] * 100
    >>> y_pred = ["happy", "sad"] * 50 + ["happy", "happy", "happy", "sad"] * 25
    >>> report = group_report(y_true, y_pred, groups=["young"] * 100 + ["old"] * 100)
    >>> report.gaps[["class", "gap", "lowest", "highest"]]
       class   gap lowest highest
    0    all  0.25    old   young
    1  happy  0.00    old   young
    2    sad  0.50    old   young
    """
    import pandas as pd

    check_interval(n_bootstrap, confidence)
    check_int("min_images", min_images)
    y_true, y_pred = label_array(y_true, "y_true"), label_array(y_pred, "y_pred")
    groups = group_array(groups)
    check_consistent_length(y_true, y_pred, groups)
    names, group_codes = np.unique(groups, return_inverse=True)
    classes, class_codes = np.unique(y_true, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"groups holds {names.tolist()} alone: at least 2 groups are compared.")
    # Images by group, class and correctness (0 or 1).
    counts = np.zeros((len(names), len(classes), 2), int)
    np.add.at(counts, (group_codes, class_codes, (y_true == y_pred).astype(int)), 1)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    labels = ["all", *classes.tolist()]
    table = _group_table(pd, counts, names.tolist(), labels, min_images, confidence)
    gaps = _gap_table(pd, counts, names, labels, min_images, n_bootstrap, confidence, rng)
    small = table[table["small"]]
    return Bunch(
        groups=table, gaps=gaps, small=list(zip(small["group"], small["class"], strict=True))
    )


def _with_all(counts: np.ndarray) -> np.ndarray:
    """Add the counts of all classes as the first class: (..., n_groups, 1 + n_classes, 2)."""
    return np.concatenate([counts.sum(axis=-2, keepdims=True), counts], axis=-2)


def _values(counts: np.ndarray) -> np.ndarray:
    """Compute accuracy and the recall of each class: (..., n_groups, 1 + n_classes)."""
    counts = _with_all(counts)
    images = counts.sum(axis=-1)
    return np.where(images > 0, counts[..., 1] / np.maximum(images, 1), np.nan)


def _group_table(
    pd: Any,
    counts: np.ndarray,
    names: list[Any],
    labels: list[Any],
    min_images: int,
    confidence: float,
) -> pd.DataFrame:
    rows = []
    for name, group_counts in zip(names, _with_all(counts).tolist(), strict=True):
        for column, (wrong, correct) in enumerate(group_counts):
            n = wrong + correct
            value = low = high = math.nan
            if n:
                value = correct / n
                low, high = binomtest(correct, n).proportion_ci(confidence, "wilson")
            rows.append(
                {
                    "group": name,
                    "class": labels[column],
                    "metric": "recall" if column else "accuracy",
                    "value": value,
                    "low": low,
                    "high": high,
                    "images": n,
                    "small": n < min_images,
                }
            )
    return pd.DataFrame(rows)


def _gap_table(
    pd: Any,
    counts: np.ndarray,
    names: np.ndarray,
    labels: list[Any],
    min_images: int,
    n_bootstrap: int,
    confidence: float,
    rng: np.random.Generator,
) -> pd.DataFrame:
    values = _values(counts)
    large = _with_all(counts).sum(axis=-1) >= min_images
    bootstrap = _values(_bootstrap(counts, n_bootstrap, rng))
    permuted = _values(_permute(counts, n_bootstrap, rng))
    rows = []
    for column, label in enumerate(labels):
        compared = np.flatnonzero(large[:, column])
        row: dict[str, Any] = {"class": label, "metric": "recall" if column else "accuracy"}
        if len(compared) < 2:
            row |= dict.fromkeys(("gap", "low", "high", "p_value"), math.nan)
            row |= {"lowest": None, "highest": None}
        else:
            compared_values = values[compared, column]
            gap = float(np.ptp(compared_values))
            low, high = percentile_interval(_gaps(bootstrap[:, compared, column]), confidence)
            by_chance = _gaps(permuted[:, compared, column])
            row |= {
                "gap": gap,
                "low": float(low),
                "high": float(high),
                "p_value": float((1 + (by_chance >= gap - 1e-12).sum()) / (1 + n_bootstrap)),
                "lowest": names[compared[compared_values.argmin()]],
                # The last of equal groups, so that it differs from the lowest.
                "highest": names[compared[::-1][compared_values[::-1].argmax()]],
            }
        rows.append(row | {"compared": len(compared)})
    return pd.DataFrame(rows)


def _gaps(values: np.ndarray) -> np.ndarray:
    """Return the range of the values in each sample, without groups that have no images."""
    missing = np.isnan(values)
    highest = np.where(missing, -np.inf, values).max(axis=1)
    lowest = np.where(missing, np.inf, values).min(axis=1)
    return np.maximum(highest - lowest, 0)


def _bootstrap(counts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n samples of images with replacement within each group."""
    samples = [
        rng.multinomial(group.sum(), group.ravel() / group.sum(), n).reshape(n, *group.shape)
        for group in counts
    ]
    return np.stack(samples, axis=1)


def _permute(counts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Permute the groups among the images of each class n times."""
    images = counts.sum(axis=-1)
    by_class = [
        rng.multivariate_hypergeometric(images[:, code], counts[:, code, 1].sum(), size=n)
        for code in range(counts.shape[1])
    ]
    correct = np.stack(by_class, axis=-1)
    return np.stack([images - correct, correct], axis=-1)
