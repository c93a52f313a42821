"""Keras's callbacks from the parameters of an estimator."""

from __future__ import annotations

import inspect

import keras


def fit_callbacks(
    monitor: str,
    *,
    reduce_lr: bool | dict,
    early_stopping: bool,
    patience: int,
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
    ['ReduceLROnPlateau', 'EarlyStopping']
    """
    callbacks: list[keras.callbacks.Callback] = []
    if reduce_lr:
        options = reduce_lr if isinstance(reduce_lr, dict) else {}
        settings = {"monitor": monitor, "factor": 0.1, "patience": 2, **options}
        _check_plateau(settings)
        callbacks.append(keras.callbacks.ReduceLROnPlateau(**settings))
    if early_stopping:
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=monitor, patience=patience, restore_best_weights=True
            )
        )
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
