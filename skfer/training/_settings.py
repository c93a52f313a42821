"""Keras's optimisers and callbacks from the parameters of an estimator."""

from __future__ import annotations

import inspect

import keras

from skfer.training._schedules import learning_rate_schedule


def new_optimizer(
    optimizer: str | keras.optimizers.Optimizer,
    learning_rate: float | None,
    policy: str = "float32",
    *,
    schedule: str | None = None,
    steps: int = 1,
) -> keras.optimizers.Optimizer:
    """A fresh optimiser; the user's own instance is never trained with.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
    learning_rate : float or None
        None leaves the optimiser's own.
    policy : str
        Dtype policy of the training. Gradients in float16 underflow unless the loss is scaled.
    schedule : {"cosine", "one_cycle"} or None
        How the rate goes over the fit, of which it is the highest.
    steps : int
        Of the whole fit.

    Returns
    -------
    keras.optimizers.Optimizer

    Raises
    ------
    ValueError
        If `learning_rate` or `schedule` is to be set, and the optimiser has a schedule of its own.

    Examples
    --------
    >>> from skfer.training import new_optimizer
    >>> optimizer = new_optimizer("sgd", learning_rate=0.5)
    >>> type(optimizer).__name__, float(optimizer.learning_rate)
    ('SGD', 0.5)
    """
    if isinstance(optimizer, str):
        fresh = keras.optimizers.get(optimizer)
    else:
        fresh = type(optimizer).from_config(optimizer.get_config())
    if learning_rate is not None or schedule is not None:
        _check_rate_can_be_set(fresh)
    if learning_rate is not None:
        fresh.learning_rate = learning_rate
    if schedule is not None:
        highest = float(fresh.learning_rate)
        fresh.learning_rate = learning_rate_schedule(schedule, highest, steps)
    return keras.optimizers.LossScaleOptimizer(fresh) if policy == "mixed_float16" else fresh


def _check_rate_can_be_set(optimizer: keras.optimizers.Optimizer) -> None:
    # Keras shows the current rate of a schedule as `learning_rate`, and the schedule nowhere else.
    if isinstance(optimizer._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        raise ValueError(
            f"optimizer={optimizer.name!r} has a rate with a schedule of its own: give it a "
            "number, and leave the course to learning_rate, schedule and fine-tuning."
        )


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
