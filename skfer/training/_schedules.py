"""How the learning rate changes over a fit."""

from __future__ import annotations

from typing import NamedTuple

import keras


class _Shape(NamedTuple):
    start: float  # of the highest rate
    rise: float  # share of all steps


# Both rise in a straight line and fall along half a cosine.
SCHEDULES = {
    "cosine": _Shape(start=0.04, rise=0.05),
    "one_cycle": _Shape(start=0.04, rise=0.3),
}


def learning_rate_schedule(
    name: str, highest: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """A rate for every step of a fit.

    Parameters
    ----------
    name : {"cosine", "one_cycle"}
        Both rise from a 25th of the highest rate and fall to 0: "cosine" rises over 5 % of the
        steps (Loshchilov & Hutter 2017), "one_cycle" over 30 % (Smith 2018).
    highest : float
        The rate at the top.
    steps : int
        Of the whole fit.
    """
    shape = SCHEDULES[name]
    rising = max(1, round(shape.rise * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=shape.start * highest,
        warmup_target=highest,
        warmup_steps=rising,
        decay_steps=max(1, steps - rising),
    )
