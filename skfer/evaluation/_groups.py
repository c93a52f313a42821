"""`group_report`: whether a classifier serves all people alike."""

from __future__ import annotations

import math
from numbers import Integral
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, check_random_state, column_or_1d

from skfer._extras import import_extra
from skfer._labels import label_array
from skfer.evaluation._confusions import check_interval, percentiles

if TYPE_CHECKING:
    import pandas as pd

# What the accuracy, which is of all classes, is written under.
ALL = "all"


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
    """Accuracy and recall of every class in every group, and the gaps between groups.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Labels and answers. An answer that is none of the labels, such as an abstention, is wrong.
    groups : array-like of shape (n,)
        What is compared: age bands, skin tones, cameras, sources of images.
    min_images : int, default=30
        Fewer images of a class in a group are called small, and gaps leave them out.
    n_bootstrap : int, default=1000
        Samples drawn for the intervals of gaps, and shufflings for their p-values.
    confidence : float, default=0.95
        Of the intervals.
    random_state : int, RandomState instance or None, default=0

    Returns
    -------
    :class:`~sklearn.utils.Bunch`
        With the attributes

        groups : DataFrame
            A row for every group and class, and one for all classes of a group (class "all"),
            with the columns ``group``, ``class``, ``metric`` ("recall" or "accuracy"), ``value``
            (NaN without images), ``low``, ``high``, ``images`` and ``small``.
        gaps : DataFrame
            A row for every class and "all": ``class``, ``metric``, ``gap`` (the highest value
            less the lowest; NaN with fewer than two groups that are not small), ``low``,
            ``high``, ``p_value``, ``lowest`` and ``highest`` (groups), and ``compared`` (how many).
        small : list of (group, class)
            What is left out of the gaps.

    Raises
    ------
    ValueError
        If lengths differ, groups have missing values, or there is but one group.
    ImportError
        If pandas is not installed.

    See Also
    --------
    skfer.inspection.GroupDisplay : The report as a picture.

    Notes
    -----
    Shares have Wilson's interval [1]_: a bootstrap's is a single point where all of a few answers
    are right. A gap is never negative and chance makes one of any data, the more the smaller the
    groups, which the interval, drawn by bootstrap within groups, shows too. So read the p-value:
    how often shuffling the groups among the images of each class makes a gap as large. With many
    classes some are small by chance.

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
    pd = import_extra("pandas", "group_report", "evaluation")
    check_interval(n_bootstrap, confidence)
    if not isinstance(min_images, Integral) or min_images < 1:
        raise ValueError(f"min_images={min_images!r} must be an int of at least 1.")
    y, said, of = label_array(y_true, "y_true"), label_array(y_pred, "y_pred"), column_or_1d(groups)
    check_consistent_length(y, said, of)
    missing = np.flatnonzero(pd.isna(of))
    if len(missing):
        raise ValueError(
            f"groups[{missing[0]}] is missing, and so are {len(missing) - 1} more: name them, as "
            "in 'unknown', or leave these images out."
        )
    names, places = np.unique(of, return_inverse=True)
    classes, codes = np.unique(y, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"groups holds {names.tolist()} alone: at least 2 groups are compared.")
    # Images by group, class, and whether the answer is right (1) or wrong (0).
    counts = np.zeros((len(names), len(classes), 2), int)
    np.add.at(counts, (places, codes, (y == said).astype(int)), 1)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    table = _by_group(pd, counts, names.tolist(), classes.tolist(), min_images, confidence)
    gaps = _gaps(
        pd,
        counts,
        names,
        classes.tolist(),
        rng,
        min_images=min_images,
        n_bootstrap=n_bootstrap,
        confidence=confidence,
    )
    small = table[table["small"]]
    return Bunch(
        groups=table,
        gaps=gaps,
        small=list(zip(small["group"], small["class"], strict=True)),
    )


def _values(counts: np.ndarray) -> np.ndarray:
    """Accuracy, then the recall of every class; ``(..., groups, 1 + classes)``."""
    every = np.concatenate([counts.sum(axis=-2, keepdims=True), counts], axis=-2)
    images = every.sum(axis=-1)
    return np.where(images > 0, every[..., 1] / np.maximum(images, 1), np.nan)


def _images(counts: np.ndarray) -> np.ndarray:
    """How many images those values are of."""
    images = counts.sum(axis=-1)
    return np.concatenate([images.sum(axis=-1, keepdims=True), images], axis=-1)


def _by_group(
    pd: Any,
    counts: np.ndarray,
    names: list[Any],
    classes: list[Any],
    min_images: int,
    confidence: float,
) -> pd.DataFrame:
    values, images = _values(counts), _images(counts)
    rows = []
    for group, name in enumerate(names):
        for place, label in enumerate([ALL, *classes]):
            n = int(images[group, place])
            low, high = _wilson(values[group, place], n, confidence)
            rows.append(
                {
                    "group": name,
                    "class": label,
                    "metric": "recall" if place else "accuracy",
                    "value": float(values[group, place]),
                    "low": low,
                    "high": high,
                    "images": n,
                    "small": n < min_images,
                }
            )
    return pd.DataFrame(rows)


def _wilson(share: float, n: int, confidence: float) -> tuple[float, float]:
    if n == 0:
        return math.nan, math.nan
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # Rounding must not leave the share outside its own interval.
    return min(max(middle - half, 0.0), share), max(min(middle + half, 1.0), share)


def _gaps(
    pd: Any,
    counts: np.ndarray,
    names: np.ndarray,
    classes: list[Any],
    rng: np.random.Generator,
    *,
    min_images: int,
    n_bootstrap: int,
    confidence: float,
) -> pd.DataFrame:
    values = _values(counts)
    large = _images(counts) >= min_images
    drawn = _values(_drawn(counts, n_bootstrap, rng))
    shuffled = _values(_shuffled(counts, n_bootstrap, rng))
    rows = []
    for place, label in enumerate([ALL, *classes]):
        compared = np.flatnonzero(large[:, place])
        row: dict[str, Any] = {"class": label, "metric": "recall" if place else "accuracy"}
        if len(compared) < 2:
            row |= dict.fromkeys(("gap", "low", "high", "p_value"), math.nan)
            row |= {"lowest": None, "highest": None, "compared": len(compared)}
            rows.append(row)
            continue
        of = values[compared, place]
        gap = float(np.ptp(of))
        low, high = percentiles(_spread(drawn[:, compared, place]), confidence)
        by_chance = _spread(shuffled[:, compared, place])
        rows.append(
            row
            | {
                "gap": gap,
                "low": float(low),
                "high": float(high),
                "p_value": float((1 + (by_chance >= gap - 1e-12).sum()) / (1 + n_bootstrap)),
                "lowest": names[compared[of.argmin()]],
                "highest": names[compared[len(of) - 1 - of[::-1].argmax()]],
                "compared": len(compared),
            }
        )
    return pd.DataFrame(rows)


def _spread(values: np.ndarray) -> np.ndarray:
    """Highest less lowest; a group that a sample has no images of is left out."""
    missing = np.isnan(values)
    highest = np.where(missing, -np.inf, values).max(axis=1)
    lowest = np.where(missing, np.inf, values).min(axis=1)
    return np.maximum(highest - lowest, 0)


def _drawn(counts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Counts of as many images drawn with replacement within each group."""
    sizes = counts.sum(axis=(1, 2))
    cells = [
        rng.multinomial(size, group.ravel() / size, n).reshape(n, *group.shape)
        for size, group in zip(sizes, counts, strict=True)
    ]
    return np.stack(cells, axis=1)


def _shuffled(counts: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Counts with the groups shuffled among the images of each class."""
    images = counts.sum(axis=-1)
    right = np.stack(
        [
            rng.multivariate_hypergeometric(images[:, code], counts[:, code, 1].sum(), size=n)
            for code in range(counts.shape[1])
        ],
        axis=-1,
    )
    return np.stack([images - right, right], axis=-1)
