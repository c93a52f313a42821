"""scikit-learn's callbacks, told of every epoch of a fit.

`sklearn.callback` is new in scikit-learn 1.9 and experimental. Where it is missing, a fit runs
without.
"""

from __future__ import annotations

from typing import Any

import keras

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An estimator that scikit-learn knows no callbacks for."""


__all__ = ["CallbackSupportMixin", "EpochTasks", "begin_fit", "end_fit"]


class EpochTasks(keras.callbacks.Callback):
    """Makes each epoch a task of the fit: a progress bar moves, a monitor scores it.

    Parameters
    ----------
    estimator : estimator
        The one that is fitted, ready to predict after every epoch.
    context : sklearn.callback.CallbackContext
        Of its fit.
    """

    def __init__(self, estimator: Any, context: Any):
        super().__init__()
        self._estimator = estimator
        self._context = context

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._task = self._context.subcontext(task_name="epoch")
        self._task.call_on_fit_task_begin(estimator=self._estimator)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # Nothing to add to the estimator's attributes for it to be a fitted one.
        stop = self._task.call_on_fit_task_end(
            estimator=self._estimator, metadata=dict(logs or {}), reconstruction_attributes={}
        )
        if stop:
            self.model.stop_training = True


def begin_fit(estimator: Any, X: Any, y: Any, *, epochs: int) -> Any:
    """Open the task of a whole fit; None without `sklearn.callback`."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    context = estimator._init_callback_context(max_subtasks=epochs)
    return context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)


def end_fit(estimator: Any, context: Any, X: Any, y: Any) -> None:
    """Close it."""
    if context is not None:
        context.call_on_fit_task_end(estimator=estimator, X=X, y=y, reconstruction_attributes={})
