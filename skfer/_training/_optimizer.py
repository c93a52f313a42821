"""Optimizers and learning rate schedules."""

from __future__ import annotations

import keras

# Share of the steps over which the rate rises linearly; it falls along half a cosine after it.
_RISE = {"cosine": 0.05, "one_cycle": 0.3}
# Start of the rise, as a share of the highest rate.
_START = 0.04
SCHEDULES = tuple(_RISE)


def build_optimizer(
    optimizer: str | keras.optimizers.Optimizer,
    learning_rate: float | None,
    policy: str = "float32",
    *,
    schedule: str | None = None,
    steps: int = 1,
) -> keras.optimizers.Optimizer:
    """Return a new optimizer.

    Parameters
    ----------
    optimizer : str or keras.optimizers.Optimizer
        Name, or an instance, of which only the settings are used.
    learning_rate : float or None
        Constant or highest rate; None is the optimizer's own.
    policy : str
        Dtype policy of the training. The loss is scaled in float16, where gradients underflow.
    schedule : {"cosine", "one_cycle"} or None
        The rate rises over 5 % (Loshchilov & Hutter 2017) or 30 % (Smith 2018) of the steps and
        falls to 0 along a cosine. None keeps it constant.
    steps : int
        Number of steps of the fit.

    Returns
    -------
    keras.optimizers.Optimizer

    Raises
    ------
    ValueError
        If `learning_rate` or `schedule` is set and the optimizer has a schedule.

    Examples
    --------
    >>> from skfer._training._optimizer import build_optimizer
    >>> optimizer = build_optimizer("sgd", learning_rate=0.5)
    >>> type(optimizer).__name__, float(optimizer.learning_rate)
    ('SGD', 0.5)
    """
    if isinstance(optimizer, str):
        built = keras.optimizers.get(optimizer)
    else:
        built = type(optimizer).from_config(optimizer.get_config())
    if (learning_rate is not None or schedule is not None) and has_schedule(built):
        raise ValueError(
            f"optimizer={built.name!r} has a rate with a schedule of its own: give it a "
            "number, and leave the course to learning_rate, schedule and fine-tuning."
        )
    if learning_rate is not None:
        built.learning_rate = learning_rate
    if schedule is not None:
        highest, rise = float(built.learning_rate), max(1, round(_RISE[schedule] * steps))
        built.learning_rate = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=_START * highest,
            warmup_target=highest,
            warmup_steps=rise,
            decay_steps=max(1, steps - rise),
        )
    return keras.optimizers.LossScaleOptimizer(built) if policy == "mixed_float16" else built


def has_schedule(optimizer: str | keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate of an optimizer is a schedule."""
    # Keras (3.15) shows the current rate as `learning_rate`, and no schedule.
    rate = getattr(optimizer, "_learning_rate", None)
    return isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
