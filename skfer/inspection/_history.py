"""`HistoryDisplay`: the curves of a fit, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skfer._pipelines import flat_steps
from skfer.inspection._axes import pyplot
from skfer.inspection._history_panel import Curves, draw_panel

# Not drawn unless asked for: it is set, not reached.
_RATES = ("learning_rate", "lr")
# Inches; a comparison has a legend below that is as long as there are fits.
_PANEL_SIZE = (4.6, 3.6)
_LEGEND_LINE = 0.22
_KEY_LINES = 4


class HistoryDisplay:
    """Loss, accuracy and other metrics of one fit or several, after every epoch.

    Training is drawn solid and validation dashed; a ring marks the epoch that was best in
    validation. A dashed vertical line marks where fine-tuning began.

    It is recommended to use `from_estimator` or `from_histories`. Parameters are stored as
    attributes.

    Parameters
    ----------
    history : dict of str to list of float, or list of such dicts
        Values after every epoch, such as ``loss``, ``accuracy``, ``val_loss`` and
        ``val_accuracy``: the `history_` of an estimator, or of several. A list that is shorter
        than others holds the first epochs; NaN leaves a gap.
    fine_tune_epoch : int, None or list of these, default=None
        Epochs trained when fine-tuning began; None draws no line.
    name : str, None or list of these, default=None
        What the legend calls the fit.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_metrics,)
        A panel for every metric.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves: panel after panel, in each the fits in order, training before validation.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of training images.

    Notes
    -----
    The best epoch is that of the panel's own metric. Early stopping goes by `val_loss`.

    References
    ----------
    Prechelt, L. (1998). Early stopping - but when? In: Neural networks: tricks of the trade.
    Springer (what the two curves of a fit say).

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import HistoryDisplay
    >>> history = {
    ...     "loss": [1.9, 1.2, 0.7],
    ...     "accuracy": [0.3, 0.5, 0.8],
    ...     "val_loss": [1.8, 1.4, 1.5],
    ...     "val_accuracy": [0.3, 0.4, 0.5],
    ... }
    >>> display = HistoryDisplay(history, fine_tune_epoch=1).plot()
    >>> [axis.get_ylabel() for axis in display.axes_]
    ['loss', 'accuracy']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        history: Mapping[str, Sequence[float]] | Sequence[Mapping[str, Sequence[float]]],
        *,
        fine_tune_epoch: int | Sequence[int | None] | None = None,
        name: str | Sequence[str | None] | None = None,
    ):
        self.history = history
        self.fine_tune_epoch = fine_tune_epoch
        self.name = name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        ax: Any = None,
        metrics: Sequence[str] | None = None,
        name: str | None = None,
    ) -> HistoryDisplay:
        """Draw the fit of an estimator.

        Parameters
        ----------
        estimator : FacialExpressionClassifier or Pipeline
            Fitted; of a Pipeline, the last step.
        ax : matplotlib Axes or sequence of them, default=None
            As for `plot`.
        metrics : sequence of str, default=None
            As for `plot`.
        name : str, default=None
            What the legend calls the fit.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        NotFittedError
            If the estimator has no `history_`.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        history, fine_tune_epoch = _history_of(estimator)
        display = cls(history, fine_tune_epoch=fine_tune_epoch, name=name)
        return display.plot(ax, metrics=metrics)

    @classmethod
    def from_histories(
        cls,
        histories: Mapping[str, Any],
        *,
        ax: Any = None,
        metrics: Sequence[str] | None = None,
    ) -> HistoryDisplay:
        """Compare several fits.

        Parameters
        ----------
        histories : dict of str to (dict or estimator)
            What the legend calls each fit, and its history, or the fitted estimator or Pipeline
            that has it.
        ax : matplotlib Axes or sequence of them, default=None
            As for `plot`.
        metrics : sequence of str, default=None
            As for `plot`.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If there is no history to draw.

        Examples
        --------
        >>> import matplotlib.pyplot as plt
        >>> from skfer.inspection import HistoryDisplay
        >>> display = HistoryDisplay.from_histories(
        ...     {"rate 0.1": {"loss": [2.0, 1.8]}, "rate 0.01": {"loss": [1.9, 1.2]}}
        ... )
        >>> len(display.lines_)
        2
        >>> plt.close(display.figure_)
        """
        pyplot(f"{cls.__name__}.from_histories")
        if not isinstance(histories, Mapping):
            raise ValueError(
                f"histories is of type {type(histories).__name__}; it must be a dict from names "
                "to histories or fitted estimators."
            )
        fits = [
            (fit, None) if isinstance(fit, Mapping) else _history_of(fit)
            for fit in histories.values()
        ]
        display = cls(
            [history for history, _ in fits],
            fine_tune_epoch=[fine_tune_epoch for _, fine_tune_epoch in fits],
            name=list(histories),
        )
        return display.plot(ax, metrics=metrics)

    def plot(self, ax: Any = None, *, metrics: Sequence[str] | None = None) -> HistoryDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            One for every metric. None makes a new figure. Several fits have their legend below
            the panel, for which ``layout="constrained"`` makes room in a figure of your own.
        metrics : sequence of str, default=None
            Names without ``val_``, a panel for each. None draws all that were measured on the
            training images, loss first; the learning rate is drawn if it is named.

        Returns
        -------
        HistoryDisplay

        Raises
        ------
        ValueError
            If there is nothing to draw, a metric is unknown, or there are more or fewer axes
            than metrics.
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        fits = self._fits()
        metrics = _known_metrics(fits, metrics)
        if ax is None:
            width, height = _PANEL_SIZE
            if len(fits) > 1:
                height += _LEGEND_LINE * (len(fits) + _KEY_LINES)
            size = (width * len(metrics), height)
            ax = plt.subplots(1, len(metrics), figsize=size, layout="constrained")[1]
        self.axes_ = np.array(ax, dtype=object).ravel()
        if len(self.axes_) != len(metrics):
            raise ValueError(
                f"ax holds {len(self.axes_)} axes, but {len(metrics)} are needed, one for each "
                f"of the metrics {metrics}. Choose with metrics=[...]."
            )
        self.figure_ = self.axes_[0].figure
        self.lines_: list[Any] = []
        for axis, metric in zip(self.axes_, metrics, strict=True):
            self.lines_ += draw_panel(axis, metric, fits)
        return self

    def _fits(self) -> list[Curves]:
        several = not isinstance(self.history, Mapping)
        histories: Any = self.history if several else [self.history]
        starts: Any = self.fine_tune_epoch if several else [self.fine_tune_epoch]
        names: Any = self.name if several else [self.name]
        if not len(histories):
            raise ValueError("There are no histories to draw: at least 1 is needed.")
        if starts is None:
            starts = [None] * len(histories)
        if names is None:
            names = [f"fit {number}" for number in range(1, len(histories) + 1)]
        for argument, values in (("fine_tune_epoch", starts), ("name", names)):
            if isinstance(values, str | Number) or len(values) != len(histories):
                raise ValueError(
                    f"{argument}={values!r} must be a list of {len(histories)}, one for each of "
                    "the histories."
                )
        return [_checked(*fit) for fit in zip(histories, starts, names, strict=True)]


def _history_of(estimator: Any) -> tuple[Mapping[str, Sequence[float]], int | None]:
    """What a fitted estimator has kept: its history, and the epochs before fine-tuning."""
    estimator = flat_steps(estimator)[-1]
    if not hasattr(estimator, "history_"):
        raise NotFittedError(
            f"{type(estimator).__name__} has no history_: give a FacialExpressionClassifier that "
            "is fitted, or a Pipeline that ends in one."
        )
    return estimator.history_, getattr(estimator, "fine_tune_epoch_", None)


def _checked(history: Any, fine_tune_epoch: int | None, name: str | None) -> Curves:
    of_fit = "" if name is None else f" of {name!r}"
    if not isinstance(history, Mapping):
        raise ValueError(
            f"The history{of_fit} is of type {type(history).__name__}; it must be a dict of lists."
        )
    curves = {key: np.array(values, dtype=float) for key, values in history.items()}
    for key, values in curves.items():
        if values.ndim != 1:
            raise ValueError(
                f"history[{key!r}]{of_fit} has shape {values.shape}; it must be a list of numbers."
            )
    n_epochs = max(map(len, curves.values()), default=0)
    if n_epochs == 0:
        raise ValueError(f"The history{of_fit} is empty: no epoch was trained. Call fit first.")
    if fine_tune_epoch is not None and not 0 <= fine_tune_epoch <= n_epochs:
        raise ValueError(
            f"fine_tune_epoch={fine_tune_epoch!r}{of_fit} must be from 0 to {n_epochs}, the "
            "number of epochs trained."
        )
    return Curves(curves, fine_tune_epoch, name)


def _known_metrics(fits: list[Curves], metrics: Sequence[str] | None) -> list[str]:
    """The metrics asked for, or all of them, loss first."""
    known = list(dict.fromkeys(key.removeprefix("val_") for fit in fits for key in fit.history))
    if metrics is None:
        shown = [metric for metric in known if metric not in _RATES]
        return sorted(shown, key=lambda metric: metric != "loss")
    if isinstance(metrics, str) or not len(metrics) or set(metrics) - set(known):
        raise ValueError(f"metrics={metrics!r} must be a list of some of {known}.")
    return list(metrics)
