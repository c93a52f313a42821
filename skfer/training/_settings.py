"""Keras's optimisers and callbacks from the parameters of an estimator."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence

import keras


def new_optimizer(
    optimizer: str | keras.optimizers.Optimizer, learning_rate: float | None, policy: str
) -> keras.optimizers.Optimizer:
    """A fresh optimiser; the user's own instance is never trained with.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
    learning_rate : float or None
        None leaves the optimiser's own.
    policy : str
        Dtype policy of the training. Gradients in float16 underflow unless the loss is scaled.
    """
    if isinstance(optimizer, str):
        fresh = keras.optimizers.get(optimizer)
    else:
        fresh = type(optimizer).from_config(optimizer.get_config())
    if learning_rate is not None:
        fresh.learning_rate = learning_rate
    return keras.optimizers.LossScaleOptimizer(fresh) if policy == "mixed_float16" else fresh


def fit_callbacks(
    monitor: str,
    *,
    reduce_lr: bool | dict,
    early_stopping: bool,
    patience: int,
    extra: Sequence[keras.callbacks.Callback] | None,
) -> list[keras.callbacks.Callback]:
    """The callbacks of one fit: those the parameters ask for, and copies of the user's."""
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
    return callbacks + copy.deepcopy(list(extra or []))


def _check_plateau(settings: dict) -> None:
    """Keras takes any keyword here and says nothing of one it doesn't know."""
    known = set(inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters) - {"kwargs"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValueError(
            f"reduce_lr has no entry {unknown[0]!r}; it may hold what "
            f"keras.callbacks.ReduceLROnPlateau takes: {sorted(known)}."
        )
