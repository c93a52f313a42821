"""Calls of scikit-learn's callbacks in every epoch of a fit.

`sklearn.callback` is new in scikit-learn 1.9 and experimental. Without it, fits run without
callbacks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin for versions of scikit-learn without callbacks."""


__all__ = ["CallbackSupportMixin", "FitTask", "begin_fit", "end_fit"]


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
