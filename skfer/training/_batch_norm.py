"""Batch normalisation that is ready for prediction after a short fit."""

from __future__ import annotations

import keras

# Keras's own momentum of 0.99 averages over a few hundred steps. A fit of a few hundred images
# ends before that, with statistics from before the first step in every layer, and predicts
# noise. Averages over a quarter of an epoch have settled by the end of the first.
_EPOCHS_AVERAGED = 0.25


def settle_within_an_epoch(network: keras.Model, steps: int) -> None:
    """Let the moving statistics of batch normalisation follow a fit of few steps.

    Momentum is lowered where an epoch is short, and never raised: from 400 steps an epoch on,
    Keras's default stays.

    Parameters
    ----------
    network : keras.Model
    steps : int
        Batches an epoch.
    """
    momentum = max(0.5, 1.0 - 1.0 / max(1.0, _EPOCHS_AVERAGED * steps))
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            settle_within_an_epoch(layer, steps)
        elif isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = min(layer.momentum, momentum)
