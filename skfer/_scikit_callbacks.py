"""scikit-learn's callbacks, told of every epoch of a fit.

`sklearn.callback` is new in scikit-learn 1.9 and experimental. Where it is missing, a fit runs
without.
"""

from __future__ import annotations

import math
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
    history : dict of str to list of float
        Of the epochs before.
    """

    def __init__(self, estimator: Any, task: FitTask, history: dict[str, list[float]]):
        super().__init__()
        self._estimator = estimator
        self._fit = task
        self._history = history

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = self._fit.context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(
            estimator=self._estimator, X=self._fit.X, y=self._fit.y, metadata=self._fit.metadata
        )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for name, value in (logs or {}).items():
            self._history.setdefault(name, [math.nan] * epoch).append(float(value))
        history = {name: list(values) for name, values in self._history.items()}
        # Metadata goes to scorers: what Keras measured is in the history of the fitted estimator.
        stop = self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._fit.X,
            y=self._fit.y,
            metadata=self._fit.metadata,
            reconstruction_attributes={"history_": history, "n_iter_": epoch + 1},
        )
        if stop:
            self.model.stop_training = True


class FitTask(NamedTuple):
    """A fit as scikit-learn's callbacks know it."""

    context: Any
    X: Any
    y: Any
    metadata: dict[str, Any] | None


def begin_fit(
    estimator: Any, X: Any, y: Any, sample_weight: Any, *, epochs: int | None
) -> FitTask | None:
    """Open the task of a whole fit; None without `sklearn.callback`."""
    if not hasattr(estimator, "_init_callback_context"):
        return None
    context = estimator._init_callback_context(max_subtasks=epochs)
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y, metadata=metadata)
    return FitTask(context, X, y, metadata)


def end_fit(estimator: Any, task: FitTask | None) -> None:
    """Close it."""
    if task is not None:
        task.context.call_on_fit_task_end(
            estimator=estimator,
            X=task.X,
            y=task.y,
            metadata=task.metadata,
            reconstruction_attributes={},
        )
