"""`CircumplexDisplay`: valence and arousal, as estimated and as rated."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from skfer._circumplex import CIRCUMPLEX
from skfer.inspection._axes import COLORS, axes_or_new, pyplot
from skfer.metrics import concordance_correlation

_SIZE = (5.4, 5.2)  # inches
_MOST_LINES = 150
# Names stand on the rim, away from the points.
_RIM = 1.08


class CircumplexDisplay:
    """Estimates in the plane of valence and arousal, each tied to the rating it should be.

    It is recommended to use `from_predictions` or `from_estimator`. Parameters are stored as
    attributes. The names on the rim stand in the directions in which `skfer.expressions_to_affect`
    places them.

    Parameters
    ----------
    y_true : array-like of shape (n, 2) or None
        Rated valence and arousal in [-1, 1]; None draws the estimates alone.
    y_pred : array-like of shape (n, 2)
        The estimates.
    name : str, default=None
        What the estimates are called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : matplotlib PathCollection
        The estimates.
    lines_ : matplotlib LineCollection or None
        From rating to estimate.
    concordance_ : ndarray of shape (2,) or None
        Of valence and of arousal.

    See Also
    --------
    skfer.metrics.concordance_correlation : What stands in the legend.

    References
    ----------
    Russell, J. A. (1980). A circumplex model of affect. Journal of Personality and Social
    Psychology 39, 1161-1178.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import CircumplexDisplay
    >>> rated, estimated = [[0.8, 0.5], [-0.6, -0.3]], [[0.7, 0.4], [-0.5, -0.3]]
    >>> display = CircumplexDisplay.from_predictions(rated, estimated)
    >>> display.concordance_.round(2).tolist()
    [0.99, 0.98]
    >>> plt.close(display.figure_)
    """

    def __init__(self, y_true: Any, y_pred: Any, *, name: str | None = None):
        self.y_true = y_true
        self.y_pred = y_pred
        self.name = name

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, name: str | None = None, ax: Any = None
    ) -> CircumplexDisplay:
        """Draw estimates that are known.

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

        Raises
        ------
        ValueError
            If they are not pairs of valence and arousal, or not as many.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        return cls(y_true, y_pred, name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, name: str | None = None, ax: Any = None
    ) -> CircumplexDisplay:
        """Draw what a fitted regressor or Pipeline says of images.

        Parameters
        ----------
        estimator : fitted regressor of valence and arousal, or Pipeline
        X : batch of n images
        y : array-like of shape (n, 2), default=None
            Their ratings, if there are any.
        name : str, default=None
        ax : matplotlib Axes, default=None

        Returns
        -------
        CircumplexDisplay

        Raises
        ------
        ValueError
            If it gives no pairs of valence and arousal, or not as many as there are ratings.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(y, estimator.predict(X), name=name, ax=ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> CircumplexDisplay:
        """Draw the estimates, and lines from the ratings to them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Axes with estimates get more in another colour.
        name : str, default=None
            None is that of the display.

        Returns
        -------
        CircumplexDisplay

        Raises
        ------
        ValueError
            If they are not pairs of valence and arousal, or not as many.

        Notes
        -----
        Of more than 150 images, only as many lines are drawn, evenly chosen; all are points.
        """
        estimates = _pairs(self.y_pred, "y_pred")
        ratings = None if self.y_true is None else _pairs(self.y_true, "y_true")
        if ratings is not None and len(ratings) != len(estimates):
            raise ValueError(f"y_true holds {len(ratings)} images, but y_pred {len(estimates)}.")
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", _SIZE)
        self.figure_ = self.ax_.figure
        before = [drawn for drawn in self.ax_.collections if drawn.get_gid() == "estimates"]
        if not before:
            _draw_circle(self.ax_)
        color = COLORS[len(before) % len(COLORS)]
        self.concordance_: np.ndarray | None = None
        self.lines_ = None
        label = name or self.name or "estimates"
        if ratings is not None:
            self.concordance_ = np.asarray(
                concordance_correlation(ratings, estimates, multioutput="raw_values")
            )
            valence, arousal = self.concordance_
            label += f": concordance {valence:.2f} of valence, {arousal:.2f} of arousal"
            self.lines_ = _tie(self.ax_, ratings, estimates, color)
            if not before:
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
            *estimates.T,
            12,
            color=color,
            alpha=0.6,
            linewidths=0,
            label=label,
            gid="estimates",
            zorder=4,
        )
        # Below the axes: inside the circle there is no room that stays free.
        self.ax_.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False, fontsize="small"
        )
        return self


def _pairs(values: Any, name: str) -> np.ndarray:
    pairs = check_array(values, dtype=np.float64, input_name=name)
    if pairs.shape[1] != 2:
        raise ValueError(
            f"{name} has the shape {pairs.shape}; valence and arousal are expected, (n, 2)."
        )
    return pairs


def _draw_circle(ax: Any) -> None:
    from matplotlib.patches import Circle

    ax.add_patch(Circle((0, 0), 1, fill=False, edgecolor="0.6", linewidth=0.8, zorder=1))
    ax.axhline(0, color="0.85", linewidth=0.8, zorder=0)
    ax.axvline(0, color="0.85", linewidth=0.8, zorder=0)
    for name, (valence, arousal) in CIRCUMPLEX.items():
        away = np.hypot(valence, arousal)
        if away == 0:
            continue
        x, y = _RIM * valence / away, _RIM * arousal / away
        side = "center" if abs(x) < 0.2 else "left" if x > 0 else "right"
        ax.text(x, y, name, ha=side, va="center", color="0.35", fontsize="small")
    ax.set(xlabel="valence: unpleasant to pleasant", ylabel="arousal: calm to excited")
    ax.set(xlim=(-1.5, 1.5), ylim=(-1.2, 1.2), aspect="equal")
    ax.set(xticks=[-1, -0.5, 0, 0.5, 1], yticks=[-1, -0.5, 0, 0.5, 1])


def _tie(ax: Any, ratings: np.ndarray, estimates: np.ndarray, color: str) -> Any:
    from matplotlib.collections import LineCollection

    chosen = np.unique(np.linspace(0, len(ratings) - 1, _MOST_LINES).round().astype(int))
    ends = np.stack([ratings[chosen], estimates[chosen]], axis=1)
    lines = LineCollection(ends, colors=color, linewidths=0.6, alpha=0.35, zorder=2)
    return ax.add_collection(lines)
