"""Batch normalisation that is ready for prediction after a short fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from skfer.networks._anatomy import all_layers

_KERAS_DEFAULT = 0.99
# Keras's default averages over a few hundred steps. A fit of a few hundred images
# ends before that, with statistics from before the first step in every layer, and predicts
# noise. Averages over a quarter of an epoch have settled by the end of the first.
_EPOCHS_AVERAGED = 0.25
_LOWEST_MOMENTUM = 0.5


@contextlib.contextmanager
def settling_within_an_epoch(network: keras.Model, steps: int) -> Iterator[None]:
    """Lower the momentum of batch normalisation during a fit of few steps an epoch.

    From 400 steps an epoch on, Keras's default of 0.99 stays. A layer with a momentum below
    this default keeps its own. A training step that was traced with another momentum is
    dropped, to be traced again.

    Parameters
    ----------
    network : keras.Model
    steps : int
        Batches an epoch.

    Yields
    ------
    None

    Examples
    --------
    >>> from skfer.networks import build_network
    >>> from skfer.training import settling_within_an_epoch
    >>> network = build_network("mini_xception", (48, 48, 1), 3)
    >>> normalisation = network.layers[2]
    >>> with settling_within_an_epoch(network, steps=16):
    ...     normalisation.momentum
    0.75
    >>> normalisation.momentum
    0.99
    """
    momentum = max(_LOWEST_MOMENTUM, 1.0 - 1.0 / max(1.0, _EPOCHS_AVERAGED * steps))
    normalisations = [
        layer
        for layer in all_layers(network)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.momentum >= _KERAS_DEFAULT
    ]
    if normalisations and getattr(network, "_skfer_momentum", momentum) != momentum:
        network.train_function = None  # momentum is a constant of its graph
    network._skfer_momentum = momentum
    before = [layer.momentum for layer in normalisations]
    for layer in normalisations:
        layer.momentum = min(layer.momentum, momentum)
    try:
        yield
    finally:
        for layer, own in zip(normalisations, before, strict=True):
            layer.momentum = own
