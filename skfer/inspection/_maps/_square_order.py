"""The order in which a map takes an image away, square by square."""

from __future__ import annotations

from typing import Any

import numpy as np


def order_of_squares(maps: Any, shape: tuple[int, ...], side: int) -> np.ndarray:
    """Place of every square in the order of its map, the highest mean first.

    Parameters
    ----------
    maps : array-like
    shape : (n, H, W)
        What the maps must have.
    side : int
        Of a square, in pixels; those at the right and lower edges may be cut off.

    Returns
    -------
    ndarray of int of shape (n, n_rows, n_columns)
    """
    means = _means_of_squares(_checked(maps, shape), side)
    flat = means.reshape(len(means), -1)
    # Where a map is even, an order from the upper left would be a claim that it doesn't make.
    lot = np.random.default_rng(0).random(flat.shape)
    order = np.lexsort((lot, -flat), axis=-1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[np.newaxis], axis=-1)
    return ranks.reshape(means.shape)


def _checked(maps: Any, shape: tuple[int, ...]) -> np.ndarray:
    maps = np.asarray(maps, np.float64)
    if maps.shape != shape:
        raise ValueError(
            f"maps has the shape {maps.shape}, but what the classifier gets are {shape[0]} images "
            f"of {shape[1]} x {shape[2]} pixels: one map for each is needed, {shape}."
        )
    if not np.isfinite(maps).all():
        raise ValueError("maps holds NaN or infinity, which have no place in an order.")
    return maps


def _means_of_squares(maps: np.ndarray, side: int) -> np.ndarray:
    """Mean of each square; those at the right and lower edges may be cut off."""
    for axis in (1, 2):
        starts = np.arange(0, maps.shape[axis], side)
        lengths = np.diff([*starts, maps.shape[axis]])
        sums = np.add.reduceat(maps, starts, axis=axis)
        maps = sums / (lengths[:, np.newaxis] if axis == 1 else lengths)
    return maps
