"""Keras callbacks of a fit."""

from __future__ import annotations

import inspect
import math
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from skfer import _training


class BestEpoch(NamedTuple):
    """Best epoch of a fit so far: its monitored value, its number from 0, and its weights."""

    value: float
    epoch: int
    weights: list[np.ndarray]


class EarlyStopping(keras.callbacks.EarlyStopping):
    """Keras's early stopping, which starts with the best epoch of the earlier phases of a fit."""

    def __init__(self, monitor: str, patience: int, best: BestEpoch | None):
        super().__init__(monitor=monitor, patience=patience, restore_best_weights=True)
        self._initial_best = best

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        if self._initial_best is not None:
            self.best, self.best_epoch, self.best_weights = self._initial_best

    @property
    def best_so_far(self) -> BestEpoch | None:
        """Best epoch of this phase and those before."""
        if self.best_weights is None or self.best is None:
            return None
        return BestEpoch(float(self.best), int(self.best_epoch), self.best_weights)


def reduce_lr_callback(reduce_lr: bool | dict, monitor: str) -> keras.callbacks.ReduceLROnPlateau:
    """Return Keras's callback for the `reduce_lr` parameter."""
    options = reduce_lr if isinstance(reduce_lr, dict) else {}
    settings = {"monitor": monitor, "factor": 0.1, "patience": 2, **options}
    known = set(inspect.signature(keras.callbacks.ReduceLROnPlateau).parameters) - {"kwargs"}
    unknown = sorted(set(settings) - known)
    if unknown:
        raise ValueError(
            f"reduce_lr has no entry {unknown[0]!r}; it may hold what "
            f"keras.callbacks.ReduceLROnPlateau takes: {sorted(known)}."
        )
    return keras.callbacks.ReduceLROnPlateau(**settings)


class WeightAverage(keras.callbacks.Callback):
    """Exponential moving average of the weights over the steps of a fit (Polyak & Juditsky 1992).

    The network trains with its own weights. It is validated, saved by callbacks and returned with
    the averaged ones. The share `decay` of the average stays at every step; it is smaller in the
    first steps, so that the initial weights are forgotten soon. `state` is that of an average to
    continue. Keras's ``use_ema`` (3.15) replaces the weights at the end of each ``fit``,
    also in a fit of several parts, and does not average the statistics of batch normalisation.
    """

    def __init__(self, decay: float, state: dict | None = None):
        super().__init__()
        self.decay = decay
        self._initial_state = state

    @property
    def state(self) -> dict:
        """Own weights, averaged weights and number of steps, to continue an interrupted fit."""
        own = self._own_weights if self._averaged else self.model.get_weights()
        return {
            "own": own,
            "average": [variable.numpy() for variable in self._average],
            "steps": int(self._steps.numpy()),
        }

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._averaged = False  # whether the model has the averaged weights
        self._own_weights: list[np.ndarray] = []
        state = self._initial_state
        if state is not None:
            self.model.set_weights(state["own"])
        start = self.model.get_weights() if state is None else state["average"]
        self._average = [tf.Variable(array, trainable=False) for array in start]
        self._steps = tf.Variable(0 if state is None else state["steps"], dtype=tf.int64)
        weights = [weight.value for weight in self.model.weights]
        average, steps, decay = self._average, self._steps, self.decay

        def update() -> None:
            steps.assign_add(1)
            step = tf.cast(steps, tf.float32)
            share = 1.0 - tf.minimum(decay, (1.0 + step) / (10.0 + step))
            for mean, weight in zip(average, weights, strict=True):
                mean.assign_add(tf.cast(share, mean.dtype) * (weight - mean))

        self._update = tf.function(update).get_concrete_function()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self._averaged:
            self.model.set_weights(self._own_weights)
            self._averaged = False

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._update()

    def on_test_begin(self, logs: dict | None = None) -> None:
        self._use_average()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._use_average()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._use_average()

    def _use_average(self) -> None:
        if not self._averaged:
            self._own_weights = self.model.get_weights()
            self.model.set_weights([variable.numpy() for variable in self._average])
            self._averaged = True


# The first steps trace the graph. An estimate needs some seconds of steps after them.
_UNTIMED_STEPS = 2
_SECONDS_TIMED = 3
# A step that trains the head alone takes about a third of one that trains all layers.
_HEAD_COST = 1 / 3
_REPORTED = ("loss", "accuracy", "concordance", "val_loss", "val_accuracy", "val_concordance")


class LongFitReport(keras.callbacks.Callback):
    """Report a fit that will take longer than a minute.

    The estimated time is printed once, as soon as it is known. With `lines`, each epoch from then
    on prints its metrics and the time left. One object serves all phases of a fit: `head_only` says
    for each epoch whether only the head is trained, and `done` epochs were done before.
    """

    def __init__(self, n_images: int, head_only: list[bool], *, done: int = 0, lines: bool = True):
        super().__init__()
        self._n_images = n_images
        self._costs = [_HEAD_COST if head else 1.0 for head in head_only]
        self._done = done
        self._lines = lines
        self._announced = False
        self._started = time.perf_counter()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._traced = False  # the graph is traced in the first epoch of a phase

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch_started = self._timed_from = time.perf_counter()
        self._first_timed = self._last_batch = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.perf_counter()
        self._last_batch = batch
        if batch < _UNTIMED_STEPS:
            self._timed_from, self._first_timed = now, batch
        elif not self._announced and now - self._timed_from >= _SECONDS_TIMED:
            left = self._seconds_left(self._epoch_seconds(now)) - (now - self._epoch_started)
            self._announce(left)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = self._epoch_seconds(time.perf_counter())
        left = self._seconds_left(seconds) - seconds
        if not self._announced:
            self._announce(left)
        self._done += 1
        self._traced = True
        if not (self._announced and self._lines):
            return
        metrics = [f"{name} {logs[name]:.3f}" for name in _REPORTED if logs and name in logs]
        remaining = [f"{_duration(left)} left"] if self._done < len(self._costs) else []
        line = ", ".join([*metrics, *remaining])
        print(f"epoch {self._done}/{len(self._costs)}: {line}", flush=True)

    def _epoch_seconds(self, now: float) -> float:
        """Return the estimated seconds of an epoch like this one, without the tracing."""
        if self._traced:
            return now - self._epoch_started
        steps = self._last_batch - self._first_timed
        return (now - self._timed_from) / steps * self.params["steps"] if steps else 0.0

    def _seconds_left(self, epoch_seconds: float) -> float:
        """Return the seconds from the start of this epoch to the end of the fit."""
        rest = self._costs[self._done :] or [1.0]
        return epoch_seconds * sum(rest) / rest[0]

    def _announce(self, left: float) -> None:
        total = time.perf_counter() - self._started + left
        if total < _training.LONG_FIT:
            return
        self._announced = True
        n_epochs = len(self._costs)
        print(
            f"Fitting {self._n_images:,} images for {n_epochs} epoch{'s' * (n_epochs > 1)} takes "
            f"about {_duration(total)}; verbose=0 is silent.",
            flush=True,
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class EpochTasks(keras.callbacks.Callback):
    """Report each epoch as a task of a fit to scikit-learn's callbacks.

    `task` has a `context` and the `arguments` of its calls. `history` is set at the start of each
    phase.
    """

    def __init__(self, task: Any):
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self._task = task

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = self._task.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(**self._task.arguments)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, [math.nan] * epoch).append(float(value))
        history = {name: list(values) for name, values in self.history.items()}
        fitted = {"history_": history, "n_iter_": epoch + 1}
        if self._epoch.call_on_fit_task_end(
            **self._task.arguments, reconstruction_attributes=fitted
        ):
            self.model.stop_training = True
