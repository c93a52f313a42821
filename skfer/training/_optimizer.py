"""Keras's optimisers from the parameters of an estimator."""

from __future__ import annotations

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


def has_own_schedule(optimizer: str | keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate of an optimiser is a schedule.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer

    Returns
    -------
    bool

    Examples
    --------
    >>> from skfer.training import has_own_schedule
    >>> has_own_schedule("adam")
    False
    """
    # Keras shows the current rate of a schedule as `learning_rate`, and the schedule nowhere else.
    rate = getattr(optimizer, "_learning_rate", None)
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)


def _check_rate_can_be_set(optimizer: keras.optimizers.Optimizer) -> None:
    if has_own_schedule(optimizer):
        raise ValueError(
            f"optimizer={optimizer.name!r} has a rate with a schedule of its own: give it a "
            "number, and leave the course to learning_rate, schedule and fine-tuning."
        )
