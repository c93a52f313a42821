"""A running average of the weights, which predicts better than the last of them."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


class WeightAverage(keras.callbacks.Callback):
    """Exponential average of the weights over the steps of a fit (Polyak & Juditsky 1992).

    The network trains on with its own weights and is validated, saved by callbacks and left
    behind with the averaged ones. Keras's ``use_ema`` replaces the weights at the end of each
    ``fit``, which a training in several parts doesn't survive, and leaves the statistics of
    batch normalisation, which belong to the weights, out of the average.

    Parameters
    ----------
    decay : float
        Share of the average that stays at every step, in (0, 1); less in the first steps, so
        that the random weights of the beginning are soon gone.
    state : dict or None, default=None
        `state` of an average to go on from.

    Examples
    --------
    >>> import keras
    >>> import numpy as np
    >>> from skfer.training import WeightAverage
    >>> network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "softmax")])
    >>> network.compile("sgd", "sparse_categorical_crossentropy")
    >>> inputs, codes = np.zeros((4, 3)), np.zeros(4, int)
    >>> average = WeightAverage(decay=0.9)
    >>> _ = network.fit(inputs, codes, batch_size=2, callbacks=[average], verbose=0)
    >>> average.state["steps"]
    2
    """

    def __init__(self, decay: float, state: dict | None = None):
        super().__init__()
        self.decay = decay
        self._given = state

    @property
    def state(self) -> dict:
        """What an interrupted training needs to go on: own weights, averages, their age."""
        own = self._own if self._averages_are_in else self.model.get_weights()
        return {
            "own": own,
            "average": [variable.numpy() for variable in self._average],
            "steps": int(self._steps.numpy()),
        }

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._averages_are_in = False
        self._own: list[np.ndarray] = []
        given = self._given
        if given is not None:
            self.model.set_weights(given["own"])
        start = self.model.get_weights() if given is None else given["average"]
        self._average = [tf.Variable(array, trainable=False) for array in start]
        self._steps = tf.Variable(0 if given is None else given["steps"], dtype=tf.int64)
        weights = [weight.value for weight in self.model.weights]
        average, steps, decay = self._average, self._steps, self.decay

        def follow() -> None:
            steps.assign_add(1)
            age = tf.cast(steps, tf.float32)
            share = 1.0 - tf.minimum(decay, (1.0 + age) / (10.0 + age))
            for mean, weight in zip(average, weights, strict=True):
                mean.assign_add(tf.cast(share, mean.dtype) * (weight - mean))

        self._follow = tf.function(follow).get_concrete_function()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._take_out()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._follow()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._put_in()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._put_in()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._put_in()

    def _put_in(self) -> None:
        if not self._averages_are_in:
            self._own = self.model.get_weights()
            self.model.set_weights([variable.numpy() for variable in self._average])
            self._averages_are_in = True

    def _take_out(self) -> None:
        if self._averages_are_in:
            self.model.set_weights(self._own)
            self._averages_are_in = False
