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
    """A fit as scikit-learn's callbacks see it."""

    context: Any
    X: Any
    y: Any
    metadata: dict[str, Any] | None


def begin_fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, epochs: int | None
) -> FitTask | None:
    """Begin the task of a fit; None without `sklearn.callback`."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    context = estimator._init_callback_context(max_subtasks=epochs)
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=metadata)
    return FitTask(context, X, y, metadata)


def end_fit(estimator: Any, task: FitTask | None) -> None:
    """End the task of a fit."""
    if task is not None:
        task.context.call_on_fit_task_end(
            estimator=estimator,
            X=task.X,
            y=task.y,
            metadata=task.metadata,
            reconstruction_attributes={},
        )


class EpochTasks(keras.callbacks.Callback):
    """Report each epoch as a task of the fit."""

    def __init__(self, estimator: Any, task: FitTask):
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self._estimator = estimator
        self._task = task

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = self._task.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            estimator=self._estimator, X=self._task.X, y=self._task.y, metadata=self._task.metadata
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, [math.nan] * epoch).append(float(value))
        history = {name: list(values) for name, values in self.history.items()}
        # Metadata is passed to scorers. Metrics of Keras are in the history instead.
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._task.X,
            y=self._task.y,
            metadata=self._task.metadata,
            reconstruction_attributes={"history_": history, "n_iter_": epoch + 1},
        )
        if stop:
            self.model.stop_training = True
