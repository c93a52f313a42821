"""`HistoryDisplay`: learning curves of one fit or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import NotFittedError

from skfer._pipelines import flat_steps
from skfer._utils import pyplot
from skfer.inspection._plotting import COLORS

# The learning rate is set, not measured: it is drawn on request only.
_RATES = ("learning_rate", "lr")
# Parts of the names of metrics that are better when lower. All others are better when higher.
_LOWER_IS_BETTER = ("loss", "error", "entropy", "divergence", "mae", "mse", "mape", "msle")
# Inches. The legend of several fits is below the panels: a line for each fit and 4 for the styles.
_PANEL_SIZE = (4.6, 3.6)
_LEGEND_LINE, _STYLE_LINES = 0.22, 4
_MARKERS = "os^Dv*"
# Approximate number of markers on a curve.
_N_MARKERS = 12
_GRAY = "0.35"
_FINE_TUNING_STYLE = (0, (6, 3))
_RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 12,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.5,
    "clip_on": False,
}


class HistoryDisplay:
    """Loss, accuracy and other metrics of one fit or several, by epoch.

    Solid lines are training, dashed lines validation. A ring marks the best validation epoch, a
    dashed vertical line the start of fine-tuning.

    Parameters
    ----------
    history : dict of str to list of float, or list of such dicts
        Values by epoch, such as ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy``: the
        `history_` of an estimator, or of several. A shorter list holds the first epochs; NaN
        leaves a gap.
    fine_tune_epoch : int, None or list of these, default=None
        Number of epochs before fine-tuning; None draws no line.
    name : str, None or list of these, default=None
        Name of the fit in the legend.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_metrics,)
        A panel for each metric.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D
        The curves by panel and fit, training before validation.

    Raises
    ------
    ValueError
        If there is nothing to draw, a metric is unknown, or axes and metrics differ in number.
    NotFittedError
        If an estimator has no `history_`.

    See Also
    --------
    sklearn.model_selection.LearningCurveDisplay : Scores by the number of training images.

    Notes
    -----
    The best epoch is that of the panel's metric. Early stopping uses `val_loss`.

    References
    ----------
    Prechelt, L. (1998). Early stopping - but when? In: Neural networks: tricks of the trade.
    Springer.

    Examples
    --------
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
        """Plot the fit of an estimator.

        Parameters
        ----------
        estimator : FacialExpressionClassifier or Pipeline
            Fitted. The last step of a Pipeline is used.
        ax, metrics
            As in `plot`.
        name : str, default=None
            Name of the fit in the legend.

        Returns
        -------
        HistoryDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        history, fine_tune_epoch = _fitted_history(estimator)
        display = cls(history, fine_tune_epoch=fine_tune_epoch, name=name)
        return display.plot(ax, metrics=metrics)

    @classmethod
    def from_histories(
        cls, histories: Mapping[str, Any], *, ax: Any = None, metrics: Sequence[str] | None = None
    ) -> HistoryDisplay:
        """Compare several fits.

        Parameters
        ----------
        histories : dict of str to (dict or estimator)
            Names of the fits in the legend, and their histories or fitted estimators.
        ax, metrics
            As in `plot`.

        Returns
        -------
        HistoryDisplay
        """
        pyplot(f"{cls.__name__}.from_histories")
        if not isinstance(histories, Mapping):
            raise ValueError(
                f"histories is of type {type(histories).__name__}; it must be a dict from names "
                "to histories or fitted estimators."
            )
        fits = [
            (fit, None) if isinstance(fit, Mapping) else _fitted_history(fit)
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
            One for each metric. None makes a new figure. The legend of several fits is below the
            panel; a figure with ``layout="constrained"`` makes room for it.
        metrics : sequence of str, default=None
            Names without ``val_``, one panel for each. None is all but the learning rate, loss
            first; the learning rate if there is nothing else.

        Returns
        -------
        HistoryDisplay
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        fits = self._fits()
        metrics = _known_metrics(fits, metrics)
        if ax is None:
            width, height = _PANEL_SIZE
            if len(fits) > 1:
                height += _LEGEND_LINE * (len(fits) + _STYLE_LINES)
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
            self.lines_ += _draw_panel(axis, metric, fits)
        return self

    def _fits(self) -> list[_Fit]:
        several = not isinstance(self.history, Mapping)
        histories: Any = self.history if several else [self.history]
        epochs: Any = self.fine_tune_epoch if several else [self.fine_tune_epoch]
        names: Any = self.name if several else [self.name]
        if not len(histories):
            raise ValueError("There are no histories to draw: at least 1 is needed.")
        if epochs is None:
            epochs = [None] * len(histories)
        if names is None:
            names = [f"fit {number}" for number in range(1, len(histories) + 1)]
        for argument, values in (("fine_tune_epoch", epochs), ("name", names)):
            if isinstance(values, str | Number) or len(values) != len(histories):
                raise ValueError(
                    f"{argument}={values!r} must be a list of {len(histories)}, one for each of "
                    "the histories."
                )
        return [_validate(*fit) for fit in zip(histories, epochs, names, strict=True)]


class _Fit(NamedTuple):
    """History of a fit, the number of epochs before fine-tuning, and its name."""

    history: Mapping[str, np.ndarray]
    fine_tune_epoch: int | None
    name: str | None


def _fitted_history(estimator: Any) -> tuple[Mapping[str, Sequence[float]], int | None]:
    """Return `history_` and `fine_tune_epoch_` of a fitted estimator."""
    estimator = flat_steps(estimator)[-1]
    if not hasattr(estimator, "history_"):
        raise NotFittedError(
            f"{type(estimator).__name__} has no history_: give a fitted FacialExpressionClassifier "
            "or a Pipeline that ends in one."
        )
    return estimator.history_, getattr(estimator, "fine_tune_epoch_", None)


def _validate(history: Any, fine_tune_epoch: int | None, name: str | None) -> _Fit:
    fit = "" if name is None else f" of {name!r}"
    if not isinstance(history, Mapping):
        raise ValueError(
            f"The history{fit} is of type {type(history).__name__}; it must be a dict of lists."
        )
    curves = {key: np.array(values, dtype=float) for key, values in history.items()}
    for key, values in curves.items():
        if values.ndim != 1:
            raise ValueError(
                f"history[{key!r}]{fit} has shape {values.shape}; it must be a list of numbers."
            )
    n_epochs = max(map(len, curves.values()), default=0)
    if n_epochs == 0:
        raise ValueError(f"The history{fit} is empty: no epoch was trained. Call fit first.")
    if fine_tune_epoch is not None and not 0 <= fine_tune_epoch <= n_epochs:
        raise ValueError(
            f"fine_tune_epoch={fine_tune_epoch!r}{fit} must be from 0 to {n_epochs}, the "
            "number of epochs trained."
        )
    return _Fit(curves, fine_tune_epoch, name)


def _known_metrics(fits: list[_Fit], metrics: Sequence[str] | None) -> list[str]:
    """Return the requested metrics, or all of them, loss first."""
    known = list(dict.fromkeys(key.removeprefix("val_") for fit in fits for key in fit.history))
    if metrics is None:
        shown = [metric for metric in known if metric not in _RATES] or known
        return sorted(shown, key=lambda metric: metric != "loss")
    if isinstance(metrics, str) or not len(metrics) or set(metrics) - set(known):
        raise ValueError(f"metrics={metrics!r} must be a list of some of {known}.")
    return list(metrics)


def _draw_panel(axis: Any, metric: str, fits: list[_Fit]) -> list[Any]:
    """Draw one metric of all fits with a legend, and return the curves."""
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    single = len(fits) == 1
    lines: list[Any] = []
    legend: dict[str, Any] = {}
    ring = Line2D([], [], **_RING | {"markersize": 9})
    for number, fit in enumerate(fits):
        curves = _draw_curves(axis, metric, fit, number, single=single)
        lines += curves
        best = _draw_best(axis, metric, fit)
        if fit.fine_tune_epoch is not None:
            color = _GRAY if single else COLORS[number % len(COLORS)]
            axis.axvline(fit.fine_tune_epoch + 0.5, color=color, linestyle=_FINE_TUNING_STYLE)
        if single:
            prefix = "" if fit.name is None else f"{fit.name}, "
            legend |= {prefix + line.get_label(): line for line in curves}
            legend |= {} if best is None else {f"best: {best}": ring}
        elif curves:
            legend[f"{fit.name}" if best is None else f"{fit.name}: {best}"] = curves[-1]
    styles = {} if single else {line.get_label(): line.get_linestyle() for line in lines}
    for part in ("training", "validation"):
        if part in styles:
            legend[part] = Line2D([], [], color=_GRAY, linestyle=styles[part])
    if not single and any(f"val_{metric}" in fit.history for fit in fits):
        legend["best in validation"] = ring
    if any(fit.fine_tune_epoch is not None for fit in fits):
        legend["fine-tuning"] = Line2D([], [], color=_GRAY, linestyle=_FINE_TUNING_STYLE)
    n_epochs = max(len(line.get_xdata()) for line in lines)
    axis.set(xlabel="epoch", ylabel=metric.replace("_", " "), xlim=(0.4, n_epochs + 0.6))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    position = {} if single else {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}
    axis.legend(legend.values(), legend.keys(), fontsize="small", **position)
    return lines


def _draw_curves(axis: Any, metric: str, fit: _Fit, number: int, *, single: bool) -> list[Any]:
    """Draw the curves of training (solid) and validation (dashed) that exist."""
    parts = (("training", metric, "-"), ("validation", f"val_{metric}", "--"))
    lines = []
    for part, (label, key, linestyle) in enumerate(parts):
        if key not in fit.history:
            continue
        values = fit.history[key]
        style = part if single else number
        lines += axis.plot(
            np.arange(1, len(values) + 1),
            values,
            color=COLORS[style % len(COLORS)],
            linestyle=linestyle,
            marker=_MARKERS[style % len(_MARKERS)],
            markersize=4,
            markevery=-(-max(len(values), 1) // _N_MARKERS),
            # Several fits are compared by their validation curves.
            alpha=0.55 if part == 0 and not single else 1,
            label=label,
        )
    return lines


def _draw_best(axis: Any, metric: str, fit: _Fit) -> str | None:
    """Draw a ring at the best validation epoch, and return its value and number as text."""
    values = fit.history.get(f"val_{metric}")
    if values is None or np.isnan(values).all():
        return None
    lower = any(part in metric for part in _LOWER_IS_BETTER)
    index = int(np.nanargmin(values) if lower else np.nanargmax(values))
    axis.plot(index + 1, values[index], **_RING)
    return f"{values[index]:.3g} in epoch {index + 1}"
