"""scikit-learn's callbacks, told of every epoch of a fit.

`sklearn.callback` is new in scikit-learn 1.9 and experimental. Where it is missing, a fit runs
without.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator that scikit-learn knows no callbacks for."""


__all__ = ["CallbackSupportMixin", "EpochTasks", "FitTask", "begin_fit", "end_fit"]


class EpochTasks(keras.callbacks.Callback):
    """Makes each epoch a task of the fit: a progress bar moves, a monitor scores it.

    Parameters
    ----------
    estimator : estimator
        The one that is fitted, ready to predict after every epoch.
    task : FitTask
        Its fit.
    """

    def __init__(self, estimator: Any, task: FitTask):
        super().__init__()
        self._estimator = estimator
        self._fit = task

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = self._fit.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, X=self._fit.X, y=self._fit.y)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # Nothing to add to the estimator's attributes for it to be a fitted one.
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._fit.X,
            y=self._fit.y,
            metadata=dict(logs or {}),
            reconstruction_attributes={},
        )
        if stop:
            self.model.stop_training = True


class FitTask(NamedTuple):
    """A fit as scikit-learn's callbacks know it."""

    context: Any
    X: Any
    y: Any


def begin_fit(estimator: Any, X: Any, y: Any, *, epochs: int | None) -> FitTask | None:
    """Open the task of a whole fit; None without `sklearn.callback`."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    context = estimator._init_callback_context(max_subtasks=epochs)
    return FitTask(context.call_on_fit_task_begin(estimator=estimator, X=X, y=y), X, y)


def end_fit(estimator: Any, task: FitTask | None) -> None:
    """Close it."""
    if task is not None:
        task.context.call_on_fit_task_end(
            estimator=estimator, X=task.X, y=task.y, reconstruction_attributes={}
        )
