"""Keras's callbacks from the parameters of an estimator."""

from __future__ import annotations

import inspect
from typing import NamedTuple

import keras
import numpy as np


class BestEpoch(NamedTuple):
    """The best epoch of a fit so far.

    Attributes
    ----------
    value : float
        What was watched.
    epoch : int
        Number of the epoch, from 0.
    weights : list of ndarray of shape (...)

    Examples
    --------
    >>> from skfer.training import BestEpoch
    >>> BestEpoch(0.7, 3, weights=[]).epoch
    3
    """

    value: float
    epoch: int
    weights: list[np.ndarray]


class StopEarly(keras.callbacks.EarlyStopping):
    """Keras's early stopping, with the best epoch of earlier phases of the fit to beat.

    Parameters
    ----------
    monitor : str
    patience : int
    best : BestEpoch or None
        Of the phases before; None in the first.

    Examples
    --------
    >>> from skfer.training import StopEarly
    >>> StopEarly("val_loss", patience=3, best=None).best_epoch_so_far is None
    True
    """

    def __init__(self, monitor: str, patience: int, best: BestEpoch | None):
        super().__init__(monitor=monitor, patience=patience, restore_best_weights=True)
        self._before = best

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Forget everything but the best epoch of earlier phases."""
        super().on_train_begin(logs)
        if self._before is not None:
            self.best, self.best_epoch, self.best_weights = self._before

    @property
    def best_epoch_so_far(self) -> BestEpoch | None:
        """Of this phase and those before."""
        if self.best_weights is None or self.best is None:
            return None
        return BestEpoch(float(self.best), int(self.best_epoch), self.best_weights)


def fit_callbacks(
    monitor: str,
    *,
    reduce_lr: bool | dict,
    early_stopping: bool,
    patience: int,
    best: BestEpoch | None = None,
) -> list[keras.callbacks.Callback]:
    """The callbacks that the parameters of a fit ask for.

    Parameters
    ----------
    monitor : str
        The name in the history of what is watched.
    reduce_lr : bool or dict
        A dict holds arguments of `keras.callbacks.ReduceLROnPlateau`.
    early_stopping : bool
    patience : int
        Epochs without progress after which the fit is stopped.
    best : BestEpoch or None, default=None
        Of earlier phases of the fit.

    Returns
    -------
    list of keras.callbacks.Callback

    Raises
    ------
    ValueError
        If `reduce_lr` holds what Keras doesn't know.

    Examples
    --------
    >>> from skfer.training import fit_callbacks
    >>> callbacks = fit_callbacks("val_loss", reduce_lr=True, early_stopping=True, patience=3)
    >>> [type(callback).__name__ for callback in callbacks]
    ['ReduceLROnPlateau', 'StopEarly']
    """
    callbacks: list[keras.callbacks.Callback] = []
    if reduce_lr:
        options = reduce_lr if isinstance(reduce_lr, dict) else {}
        settings = {"monitor": monitor, "factor": 0.1, "patience": 2, **options}
        _check_plateau(settings)
        callbacks.append(keras.callbacks.ReduceLROnPlateau(**settings))
    if early_stopping:
        callbacks.append(StopEarly(monitor, patience, best))
    return callbacks


def _check_plateau(settings: dict) -> None:
    """Keras takes any keyword here and says nothing of one it doesn't know."""
    known = set(inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters) - {"kwargs"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValueError(
            f"reduce_lr has no entry {unknown[0]!r}; it may hold what "
            f"keras.callbacks.ReduceLROnPlateau takes: {sorted(known)}."
        )
