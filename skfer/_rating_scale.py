"""The scale that people rated on, and that of a tanh."""

from __future__ import annotations

from typing import Any

import numpy as np


def ends_of_scale(ratings: np.ndarray, target_range: tuple[float, float] | None) -> np.ndarray:
    """What -1 and 1 of each column are to stand for, ``(n_columns, 2)``.

    Parameters
    ----------
    ratings : ndarray of shape (n, n_columns)
    target_range : tuple of two floats or None
        None takes the smallest and largest of each column.

    Raises
    ------
    ValueError
        If that is no range.
    """
    if target_range is None:
        return np.column_stack([ratings.min(axis=0), ratings.max(axis=0)])
    if len(target_range) != 2 or not target_range[0] < target_range[1]:
        raise ValueError(
            f"target_range must be (low, high), such as (-1, 1), or None; got {target_range!r}."
        )
    return np.tile(np.asarray(target_range, np.float64), (ratings.shape[1], 1))


def refuse_missing(ratings: Any, name: str) -> None:
    """Raise `ValueError` if a rating is missing, and name its row.

    Parameters
    ----------
    ratings : array-like of shape (n,) or (n, n_columns)
    name : str
        Name of the argument, for errors.
    """
    try:
        numbers = np.atleast_1d(np.asarray(ratings))
        if numbers.dtype.kind == "c":  # refused by scikit-learn's checks
            return
        numbers = numbers.astype(float)
    except (TypeError, ValueError):  # not numbers, refused by scikit-learn's checks
        return
    missing = np.flatnonzero(np.isnan(numbers).reshape(len(numbers), -1).any(axis=1))
    if len(missing):
        raise ValueError(
            f"{name}[{missing[0]}] holds NaN: ratings of {len(missing)} of {len(numbers)} images "
            "are missing. Leave these images out."
        )


def refuse_outside(ratings: np.ndarray, ends: np.ndarray, name: str) -> None:
    """An error if ratings, called so, lie beyond the ends that were named for all columns."""
    low, high = ends[0].tolist()
    outside = np.flatnonzero(((ratings < low) | (ratings > high)).any(axis=1))
    if len(outside):
        raise ValueError(
            f"{name}[{outside[0]}] is {ratings[outside[0]].tolist()}, outside target_range="
            f"{(low, high)}, as {len(outside)} of {len(ratings)} ratings are. "
            "AffectNet's -2 stands for no rating: leave those images out. For another scale "
            "name its ends, such as target_range=(1, 9), or None for those of the data."
        )


def to_tanh(ratings: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Ratings between the ends of each column as float32 between -1 and 1."""
    middle, reach = _middle_and_reach(ends)
    # A column without any spread is its middle, and stays it.
    return ((ratings - middle) / np.where(reach > 0, reach, 1)).astype(np.float32)


def from_tanh(outputs: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """What a network says between -1 and 1 as ratings."""
    middle, reach = _middle_and_reach(ends)
    return middle + reach * outputs


def _middle_and_reach(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    low, high = ends.T
    return (low + high) / 2, (high - low) / 2
