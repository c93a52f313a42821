"""`CoverageDisplay`: what withholding unsure answers gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from skfer.inspection._axes import COLORS, axes_or_new, pyplot
from skfer.metrics import coverage_curve

_SIZE = (6.0, 4.0)  # inches
# The surest few answers say little of accuracy: below this share of the images nothing is drawn.
_LEAST_COVERAGE = 0.02
_MARKED = (0.5, 0.6, 0.7, 0.8, 0.9)


class CoverageDisplay:
    """Accuracy of the answers over the share of images that are answered.

    It is recommended to use `from_predictions` or `from_estimator`. Parameters are stored as
    attributes.

    Parameters
    ----------
    coverage, accuracy, thresholds : array-like of shape (n_thresholds,)
        As `skfer.metrics.coverage_curve` returns them.
    name : str, default=None
        What the curve is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The curve.
    text_ : list of matplotlib Text
        Thresholds written at the curve.

    See Also
    --------
    skfer.AbstainingClassifier : Withholds answers below a threshold.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import CoverageDisplay
    >>> y_proba = [[0.9, 0.1], [0.2, 0.8], [0.65, 0.35], [0.4, 0.6]]
    >>> display = CoverageDisplay.from_predictions(["a", "b", "b", "b"], y_proba)
    >>> display.line_.get_ydata().tolist()
    [1.0, 1.0, 0.66..., 0.75]
    >>> plt.close(display.figure_)
    """

    def __init__(self, coverage: Any, accuracy: Any, thresholds: Any, *, name: str | None = None):
        self.coverage = coverage
        self.accuracy = accuracy
        self.thresholds = thresholds
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        labels: Sequence[Any] | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> CoverageDisplay:
        """Draw the curve of probabilities that are known.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_proba : array-like of shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        name : str, default=None
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        CoverageDisplay

        Raises
        ------
        ValueError
            If labels and probabilities don't belong together.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        return cls(*coverage_curve(y_true, y_proba, labels=labels), name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, name: str | None = None, ax: Any = None
    ) -> CoverageDisplay:
        """Draw the curve of a fitted classifier or Pipeline.

        Parameters
        ----------
        estimator : fitted classifier with `predict_proba`
        X : batch of n images
        y : array-like of shape (n,)
        name : str, default=None
        ax : matplotlib Axes, default=None

        Returns
        -------
        CoverageDisplay

        Raises
        ------
        ValueError
            If labels and probabilities don't belong together.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        proba = estimator.predict_proba(X)
        return cls.from_predictions(y, proba, labels=estimator.classes_, name=name, ax=ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> CoverageDisplay:
        """Draw the curve, with some of its thresholds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Axes with curves get one more in another colour.
        name : str, default=None
            None is that of the display.

        Returns
        -------
        CoverageDisplay
        """
        check_consistent_length(self.coverage, self.accuracy, self.thresholds)
        coverage, accuracy, thresholds = map(
            np.asarray, (self.coverage, self.accuracy, self.thresholds)
        )
        drawn = coverage >= min(_LEAST_COVERAGE, coverage[-1])
        coverage, accuracy, thresholds = coverage[drawn], accuracy[drawn], thresholds[drawn]
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", _SIZE)
        self.figure_ = self.ax_.figure
        color = COLORS[len(self.ax_.lines) % len(COLORS)]
        marks = _places(thresholds)
        name = name or self.name
        (self.line_,) = self.ax_.plot(
            coverage,
            accuracy,
            color=color,
            marker="o",
            markersize=4,
            markevery=marks,
            label=name,
        )
        self.text_ = [
            self.ax_.annotate(
                f"{thresholds[place]:.2f}",
                (coverage[place], accuracy[place]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="small",
                color=color,
            )
            for place in marks
        ]
        self.ax_.set(xlabel="share of the images answered", ylabel="share of right answers")
        self.ax_.set_xlim(0, 1.06)
        self.ax_.set_title("thresholds of probability at the curve", fontsize="small")
        self.ax_.grid(alpha=0.3)
        if name:
            self.ax_.legend(frameon=False)
        return self


def _places(thresholds: np.ndarray) -> list[int]:
    """Where the curve passes the thresholds that are written at it."""
    places = {
        int(np.flatnonzero(thresholds >= mark)[-1])
        for mark in _MARKED
        if thresholds[0] >= mark >= thresholds[-1]
    }
    return sorted(places)
