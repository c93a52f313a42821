"""`ReliabilityDisplay`: how often answers are right, by how sure they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from skfer.inspection._axes import COLORS, axes_or_new, pyplot
from skfer.metrics import reliability_curve

_SIZE = (4.8, 4.8)  # inches
# Points: the area of the mark of a bin that holds all answers.
_LARGEST_MARK = 400.0


class ReliabilityDisplay:
    """Accuracy of the most probable class over its probability.

    It is recommended to use `from_predictions` or `from_estimator`. Parameters are stored as
    attributes. What `sklearn.calibration.CalibrationDisplay` is for one of two classes, this is
    for the answer among many.

    Parameters
    ----------
    accuracy, confidence, counts : array-like of shape (n_bins,)
        As `skfer.metrics.reliability_curve` returns them.
    name : str, default=None
        What the curve is called.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The curve.
    error_ : float
        Expected calibration error in these bins.

    See Also
    --------
    skfer.metrics.expected_calibration_error : The mean distance from the diagonal.
    skfer.metrics.fit_temperature : What brings a curve nearer to it.

    References
    ----------
    DeGroot, M. H. & Fienberg, S. E. (1983). The comparison and evaluation of forecasters. The
    Statistician 32, 12-22.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import ReliabilityDisplay
    >>> display = ReliabilityDisplay.from_predictions(["a", "b", "a", "a"], [[0.7, 0.3]] * 4)
    >>> round(display.error_, 2)
    0.05
    >>> plt.close(display.figure_)
    """

    def __init__(self, accuracy: Any, confidence: Any, counts: Any, *, name: str | None = None):
        self.accuracy = accuracy
        self.confidence = confidence
        self.counts = counts
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_proba: Any,
        *,
        labels: Sequence[Any] | None = None,
        n_bins: int = 15,
        name: str | None = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Draw the curve of probabilities that are known.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_proba : array-like of shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        n_bins : int, default=15
        name : str, default=None
        ax : matplotlib Axes, default=None
            None makes a new figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If labels and probabilities don't belong together, or `n_bins` is not 1 or more.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        curve = reliability_curve(y_true, y_proba, labels=labels, n_bins=n_bins)
        return cls(*curve, name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 15,
        name: str | None = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Draw the curve of a fitted classifier or Pipeline.

        Parameters
        ----------
        estimator : fitted classifier with `predict_proba`
        X : batch of n images
        y : array-like of shape (n,)
        n_bins : int, default=15
        name : str, default=None
        ax : matplotlib Axes, default=None

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            If labels and probabilities don't belong together, or `n_bins` is not 1 or more.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        proba = estimator.predict_proba(X)
        return cls.from_predictions(
            y, proba, labels=estimator.classes_, n_bins=n_bins, name=name, ax=ax
        )

    def plot(self, ax: Any = None, *, name: str | None = None) -> ReliabilityDisplay:
        """Draw the curve, with a mark for every bin as large as the bin.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Axes with curves get one more in another colour.
        name : str, default=None
            None is that of the display.

        Returns
        -------
        ReliabilityDisplay
        """
        check_consistent_length(self.accuracy, self.confidence, self.counts)
        accuracy, confidence, counts = map(
            np.asarray, (self.accuracy, self.confidence, self.counts)
        )
        self.error_ = float(np.average(abs(accuracy - confidence), weights=counts))
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", _SIZE)
        self.figure_ = self.ax_.figure
        before = [line for line in self.ax_.lines if line.get_gid() == "reliability"]
        if not before:
            self.ax_.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfectly calibrated")
            self.ax_.set(xlabel="probability of the answer", ylabel="share of right answers")
            self.ax_.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        color = COLORS[len(before) % len(COLORS)]
        name = name or self.name
        label = f"{name}: " if name else ""
        (self.line_,) = self.ax_.plot(
            confidence,
            accuracy,
            color=color,
            gid="reliability",
            label=f"{label}calibration error {self.error_:.3f}",
        )
        self.ax_.scatter(confidence, accuracy, _LARGEST_MARK * counts / counts.sum(), color=color)
        self.ax_.legend(loc="upper left", frameon=False, fontsize="small")
        return self
