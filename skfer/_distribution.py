"""Training on several devices at once, out of which an ordinary network comes."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skfer import _network_state as network_state
from skfer.networks._anatomy import all_layers, train_layers, trained_layers
from skfer.training import build_state, isolated_random_state

# What the parameter `distribution` may be, beside None.
DISTRIBUTIONS = ("mirrored",)


class StrategyLeftBehind:
    """What a pickle holds in place of a strategy, which is bound to the devices of its process.

    The estimator predicts; called for a strategy by a fit, this says what to do.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __call__(self) -> tf.distribute.Strategy:
        """Refuse, with the way out."""
        raise ValueError(
            f"distribution was a {self.kind} of the process that pickled this estimator: it "
            "doesn't travel. Set distribution again, to 'mirrored', to a function that returns a "
            f"strategy (tf.distribute.{self.kind} is one), or to None."
        )

    def __repr__(self) -> str:
        return f"<{self.kind} of another process>"


def for_pickle(distribution: Any) -> Any:
    """The parameter as it goes into a pickle."""
    if isinstance(distribution, tf.distribute.Strategy):
        return StrategyLeftBehind(type(distribution).__name__)
    return distribution


def strategy_of(
    distribution: str | tf.distribute.Strategy | Callable[[], tf.distribute.Strategy] | None,
) -> tf.distribute.Strategy | None:
    """The strategy that the parameter stands for; None trains on one device.

    "mirrored" takes every graphics card that TensorFlow sees here, or every processor device if
    there is none.
    """
    if distribution is None or isinstance(distribution, tf.distribute.Strategy):
        return distribution
    return _made(tf.distribute.MirroredStrategy if distribution == "mirrored" else distribution)


# Once a process: each strategy numbers the sums over its devices from the start, and TensorFlow
# refuses, or mixes up, sums of two strategies that have one number.
@functools.cache
def _made(function: Callable[[], tf.distribute.Strategy]) -> tf.distribute.Strategy:
    strategy = function()
    if not isinstance(strategy, tf.distribute.Strategy):
        raise TypeError(
            f"distribution={function!r} returned {type(strategy).__name__}; it must return a "
            "tf.distribute.Strategy."
        )
    return strategy


def device_count(
    strategy: tf.distribute.Strategy | None,
    *,
    batch_size: int,
    training: int,
    validation: int | None,
) -> int:
    """How many devices share a batch.

    Raises
    ------
    ValueError
        If one of them would get no image.
    """
    devices = 1 if strategy is None else strategy.num_replicas_in_sync
    for given, images in {
        f"batch_size={batch_size}": batch_size,
        f"{training} training images": training,
        f"{validation} validation images": validation,
    }.items():
        if images is not None and images < devices:
            raise ValueError(
                f"{given} for {devices} devices: each of them needs an image at least. Take "
                "fewer devices, or distribution=None."
            )
    return devices


@contextlib.contextmanager
def spread_out(
    network: keras.Model,
    strategy: tf.distribute.Strategy | None,
    *,
    rebuilt: Callable[[int], keras.Model],
    metrics: Callable[[], list[Any]],
    targets: np.ndarray,
    seed: int,
) -> Iterator[keras.Model]:
    """A network on all devices of a strategy, to be trained in place of the one given.

    Variables of a strategy are of no use outside it: reading them may need the other machines,
    and they can't be pickled. So a copy is trained, and the network given gets weights and
    optimiser's state of the copy when that is done.

    Parameters
    ----------
    network : keras.Model
        Scaling layer and body, compiled, its optimiser's state built.
    strategy : tf.distribute.Strategy or None
        None trains the network itself.
    rebuilt : callable
        Makes the network for so many outputs where Keras can't from its config alone.
    metrics : callable
        Makes what is measured; the copy's belong to the strategy.
    targets : ndarray of shape (n,) or (n, n_outputs)
        As they are given to the fit.
    seed : int
        For what building the copy draws, before it is made equal to the network.
    """
    if strategy is None:
        yield network
        return
    with strategy.scope(), isolated_random_state(seed):
        copy = network_state.thaw(network_state.freeze(network), rebuilt)
        train_layers(copy.layers[-1], trained_layers(network.layers[-1]))
        optimizer = type(network.optimizer).from_config(network.optimizer.get_config())
        copy.compile(optimizer, network.loss, metrics=metrics())
        build_state(copy, targets)
    _assign(network, copy)
    yield copy
    _assign(copy, network)


class SameStatistics(keras.callbacks.Callback):
    """Gives all devices the mean of their batch statistics, before these are looked at.

    Each device keeps statistics of its own share of the batches. What is validated, averaged and
    brought back is to be the same network.
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._agree: Callable[[], Any] = lambda: None
        strategy = self.model.distribute_strategy
        if strategy.num_replicas_in_sync == 1:
            return
        statistics = [
            variable.value
            for layer in all_layers(self.model)
            if layer.trainable
            for variable in layer.non_trainable_variables
            if "float" in variable.dtype
        ]

        def agree() -> None:
            context = tf.distribute.get_replica_context()
            for variable in statistics:
                variable.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, variable))

        if statistics:
            self._agree = tf.function(lambda: strategy.run(agree)).get_concrete_function()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._agree()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._agree()


class BringWeightsBack(keras.callbacks.Callback):
    """Keeps the estimator's own network as far as the copy that is trained, epoch by epoch.

    Callbacks that come after this one may predict with the estimator.
    """

    def __init__(self, network: keras.Model):
        super().__init__()
        self._network = network

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._network.set_weights(self.model.get_weights())


def _assign(source: keras.Model, target: keras.Model) -> None:
    for theirs, ours in (
        (source.variables, target.variables),
        (source.optimizer.variables, target.optimizer.variables),
    ):
        for value, variable in zip(theirs, ours, strict=True):
            variable.assign(value.numpy())
