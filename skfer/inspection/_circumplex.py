"""`CircumplexDisplay`: predicted and rated valence and arousal."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skfer._labels import EXPRESSION_COLORS
from skfer._utils import pyplot
from skfer.inspection._plotting import COLORS, Display
from skfer.metrics import concordance_correlation
from skfer.metrics._affect import CIRCUMPLEX

_SIZE = (5.4, 5.2)  # inches
_MAX_LINES = 150
# Radius of the names of expressions, outside the circle.
_NAME_RADIUS = 1.08


class CircumplexDisplay(Display):
    """Predictions in the plane of valence and arousal, with lines to the ratings.

    The names outside the circle are in the directions of `skfer.expressions_to_affect`.

    Parameters
    ----------
    y_true : array-like of shape (n, 2) or None
        Rated valence and arousal in [-1, 1]; None draws only the predictions.
    y_pred : array-like of shape (n, 2)
        Predicted valence and arousal.
    name : str, default=None
        Name of the predictions.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : matplotlib PathCollection
        The predictions.
    lines_ : matplotlib LineCollection or None
        Lines from ratings to predictions.
    concordance_ : ndarray of shape (2,) or None
        Concordance of valence and arousal.

    Raises
    ------
    ValueError
        If ratings or predictions are not pairs of valence and arousal, or their lengths differ.

    See Also
    --------
    skfer.metrics.concordance_correlation : The metric in the legend.

    References
    ----------
    Russell, J. A. (1980). A circumplex model of affect. Journal of Personality and Social
    Psychology 39, 1161-1178.

    Examples
    --------
    >>> from skfer.inspection import CircumplexDisplay
    >>> rated, estimated = [[0.8, 0.5], [-0.6, -0.3]], [[0.7, 0.4], [-0.5, -0.3]]
    >>> display = CircumplexDisplay.from_predictions(rated, estimated)
    >>> display.concordance_.round(2).tolist()
    [0.99, 0.98]
    """

    def __init__(self, y_true: Any, y_pred: Any, *, name: str | None = None):
        self.y_true = y_true
        self.y_pred = y_pred
        self.name = name

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, name: str | None = None, ax: Any = None
    ) -> CircumplexDisplay:
        """Plot given predictions.

        Parameters
        ----------
        y_true : array-like of shape (n, 2) or None
        y_pred : array-like of shape (n, 2)
        name : str, default=None
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CircumplexDisplay
        """
        pyplot(f"{cls.__name__}.from_predictions")
        return cls(y_true, y_pred, name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, name: str | None = None, ax: Any = None
    ) -> CircumplexDisplay:
        """Plot the predictions of a fitted regressor or Pipeline.

        Parameters
        ----------
        estimator : fitted regressor of valence and arousal, or Pipeline
        X : batch of n images
        y : array-like of shape (n, 2), default=None
            Ratings.
        name, ax
            As in `from_predictions`.

        Returns
        -------
        CircumplexDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(y, estimator.predict(X), name=name, ax=ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> CircumplexDisplay:
        """Draw the predictions, and lines from the ratings to them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Further predictions in the same axes get other colours.
        name : str, default=None
            None is the name of the display.

        Returns
        -------
        CircumplexDisplay

        Notes
        -----
        At most 150 lines are drawn, for evenly spaced images. All images are points.
        """
        predictions = _pairs(self.y_pred, "y_pred")
        ratings = None if self.y_true is None else _pairs(self.y_true, "y_true")
        if ratings is not None and len(ratings) != len(predictions):
            raise ValueError(f"y_true holds {len(ratings)} images, but y_pred {len(predictions)}.")
        self._set_axes(ax, _SIZE)
        n_before = sum(points.get_gid() == "predictions" for points in self.ax_.collections)
        if n_before == 0:
            _draw_circle(self.ax_)
        color = COLORS[n_before % len(COLORS)]
        self.concordance_: np.ndarray | None = None
        self.lines_ = None
        label = name or self.name or "predictions"
        if ratings is not None:
            self.concordance_ = np.asarray(
                concordance_correlation(ratings, predictions, multioutput="raw_values")
            )
            valence, arousal = self.concordance_
            label += f": concordance {valence:.2f} of valence, {arousal:.2f} of arousal"
            self.lines_ = _draw_lines(self.ax_, ratings, predictions, color)
            if n_before == 0:
                self.ax_.scatter(
                    *ratings.T,
                    14,
                    facecolors="none",
                    edgecolors="0.35",
                    linewidths=0.6,
                    label="ratings",
                    zorder=3,
                )
        self.points_ = self.ax_.scatter(
            *predictions.T,
            12,
            color=color,
            alpha=0.6,
            linewidths=0,
            label=label,
            gid="predictions",
            zorder=4,
        )
        # Below the axes, because data may cover the whole circle.
        self.ax_.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False, fontsize="small"
        )
        return self


def _pairs(values: Any, name: str) -> np.ndarray:
    pairs = check_array(values, dtype=np.float64, input_name=name)
    if pairs.shape[1] != 2:
        raise ValueError(
            f"{name} has the shape {pairs.shape}; it must be (n, 2), valence and arousal."
        )
    return pairs


def _draw_circle(ax: Any) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor="0.6", linewidth=0.8, zorder=1))
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    for name, (valence, arousal) in CIRCUMPLEX.items():
        distance = np.hypot(valence, arousal)
        if distance == 0:
            continue
        x, y = _NAME_RADIUS * valence / distance, _NAME_RADIUS * arousal / distance
        side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        ax.text(x, y, name, ha=side, va="center", color=EXPRESSION_COLORS[name], weight="bold")
    ax.set(xlabel="valence: unpleasant to pleasant", ylabel="arousal: calm to excited")
    ax.set(xlim=(-1.5, 1.5), ylim=(-1.2, 1.2), aspect="equal")
    ax.set(xticks=[-1, -0.5, 0, 0.5, 1], yticks=[-1, -0.5, 0, 0.5, 1])


def _draw_lines(ax: Any, ratings: np.ndarray, predictions: np.ndarray, color: str) -> Any:
    from matplotlib.collections import LineCollection

    rows = np.unique(np.linspace(0, len(ratings) - 1, _MAX_LINES).round().astype(int))
    ends = np.stack([ratings[rows], predictions[rows]], axis=1)
    lines = LineCollection(ends, colors=color, linewidths=0.6, alpha=0.35, zorder=2)
    return ax.add_collection(lines)
