"""Training on several devices with `tf.distribute`."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skfer._training._tensorflow import build_optimizer_state, isolated_random_state
from skfer.networks._copies import network_from_state, network_state
from skfer.networks._layers import all_layers, set_trainable, trainable_flags


class PickledStrategy:
    """Placeholder of a strategy in a pickle; strategies are bound to the devices of a process.

    The estimator predicts. A fit calls it for a strategy and gets an error that says what to do.
    """

    def __init__(self, kind: str):
        self.kind = kind

    def __call__(self) -> tf.distribute.Strategy:
        raise ValueError(
            f"distribution was a {self.kind} of the process that pickled this estimator, and "
            "strategies are not pickled. Set distribution again, to 'mirrored', to a function that "
            f"returns a strategy (tf.distribute.{self.kind} is one), or to None."
        )

    def __repr__(self) -> str:
        return f"<{self.kind} of another process>"


def resolve_strategy(
    distribution: str | tf.distribute.Strategy | Callable[[], tf.distribute.Strategy] | None,
) -> tf.distribute.Strategy | None:
    """Return the strategy for a `distribution` parameter; None trains on one device.

    "mirrored" uses all graphics cards that TensorFlow finds, or all processor devices without any.
    """
    if distribution is None or isinstance(distribution, tf.distribute.Strategy):
        return distribution
    return _call_once(
        tf.distribute.MirroredStrategy if distribution == "mirrored" else distribution
    )


# Each strategy numbers its collective operations from 0, and TensorFlow (2.21) confuses those of
# two strategies with equal numbers. A process therefore makes each strategy once.
@functools.cache
def _call_once(function: Callable[[], tf.distribute.Strategy]) -> tf.distribute.Strategy:
    strategy = function()
    if not isinstance(strategy, tf.distribute.Strategy):
        raise TypeError(
            f"distribution={function!r} returned {type(strategy).__name__}; it must return a "
            "tf.distribute.Strategy."
        )
    return strategy


def count_devices(
    strategy: tf.distribute.Strategy | None,
    *,
    batch_size: int,
    n_train: int,
    n_validation: int | None,
) -> int:
    """Return the number of devices that share a batch."""
    devices = 1 if strategy is None else strategy.num_replicas_in_sync
    for name, n_images in {
        f"batch_size={batch_size}": batch_size,
        f"{n_train} training images": n_train,
        f"{n_validation} validation images": n_validation,
    }.items():
        if n_images is not None and n_images < devices:
            raise ValueError(
                f"{name} for {devices} devices: each of them needs an image at least. Use "
                "fewer devices, or distribution=None."
            )
    return devices


@contextlib.contextmanager
def distributed_copy(
    network: keras.Model,
    strategy: tf.distribute.Strategy | None,
    *,
    rebuild: Callable[[int], keras.Model],
    metrics: Callable[[], list[Any]],
    targets: np.ndarray,
    seed: int,
) -> Iterator[keras.Model]:
    """Yield a copy of a network on all devices of a strategy, to be trained.

    Variables of a strategy cannot be pickled, and reading them may need other machines. So a copy
    is trained. At the end, the network gets its weights and optimizer state.
    """
    if strategy is None:
        yield network
        return
    with strategy.scope(), isolated_random_state(seed):
        copy = network_from_state(network_state(network), rebuild)
        set_trainable(copy.layers[-1], trainable_flags(network.layers[-1]))
        optimizer = type(network.optimizer).from_config(network.optimizer.get_config())
        copy.compile(optimizer, network.loss, metrics=metrics())
        build_optimizer_state(copy, targets)
    _copy_variables(network, copy)
    yield copy
    _copy_variables(copy, network)


def _copy_variables(source: keras.Model, target: keras.Model) -> None:
    for source_variables, target_variables in (
        (source.variables, target.variables),
        (source.optimizer.variables, target.optimizer.variables),
    ):
        for value, variable in zip(source_variables, target_variables, strict=True):
            variable.assign(value.numpy())


class AverageStatistics(keras.callbacks.Callback):
    """Average the statistics of batch normalisation over the devices before they are used.

    Each device has the statistics of its share of the batches.
    """

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._average: Callable[[], Any] = lambda: None
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

        def average() -> None:
            context = tf.distribute.get_replica_context()
            for variable in statistics:
                variable.assign(context.all_reduce(tf.distribute.ReduceOp.MEAN, variable))

        if statistics:
            self._average = tf.function(lambda: strategy.run(average)).get_concrete_function()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._average()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._average()


class CopyWeights(keras.callbacks.Callback):
    """Copy the weights to another network after every epoch, for callbacks that predict with it."""

    def __init__(self, network: keras.Model):
        super().__init__()
        self._network = network

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._network.set_weights(self.model.get_weights())
