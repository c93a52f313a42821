"""Calls of scikit-learn's callbacks in every epoch of a fit.

`sklearn.callback` is new in scikit-learn 1.9 and experimental. Without it, fits run without
callbacks.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin for versions of scikit-learn without callbacks."""


__all__ = ["CallbackSupportMixin", "EpochTasks", "FitTask", "begin_fit", "end_fit"]


class FitTask(NamedTuple):
    """Fit as scikit-learn's callbacks see it."""

    context: Any
    arguments: dict[str, Any]


def begin_fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, epochs: int | None
) -> FitTask | None:
    """Begin the task of a fit; None without `sklearn.callback`."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    context = estimator._init_callback_context(max_subtasks=epochs)
    # Metadata is passed to scorers. Metrics of Keras are in the history instead.
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    arguments = {"estimator": estimator, "X": X, "y": y, "metadata": metadata}
    context.call_on_fit_task_begin(**arguments)
    return FitTask(context, arguments)


def end_fit(task: FitTask | None) -> None:
    """End the task of a fit."""
    if task is not None:
        task.context.call_on_fit_task_end(**task.arguments, reconstruction_attributes={})


class EpochTasks(keras.callbacks.Callback):
    """Report each epoch as a task of the fit; `history` is set at the start of each phase."""

    def __init__(self, task: FitTask):
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
