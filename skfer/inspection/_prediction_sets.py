"""`PredictionSetDisplay`: whether sets hold the right label as promised, and how large they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skfer._labels import label_array
from skfer.inspection._axes import COLORS, legend_above, pyplot
from skfer.metrics._prediction_sets import covered_images
from skfer.metrics._probabilities import classes_of_columns

_SIZE = (8.0, 3.4)  # inches


class PredictionSetDisplay:
    """Coverage of prediction sets by class, and how many labels they hold.

    It is recommended to use `from_estimator` or `from_predictions`. Parameters are stored as
    attributes.

    Parameters
    ----------
    coverage : array-like of shape (n_classes,)
        Share of each class's images whose set holds the right label; NaN without images.
    sizes : array-like of shape (n_classes + 1,)
        Share of the images with a set of 0, 1, 2 ... labels.
    classes : sequence of n_classes labels
    mean_coverage : float
        Share of all images.
    confidence : float, default=None
        What was promised.

    Attributes
    ----------
    axes_ : list of 2 matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of 2 matplotlib BarContainer

    See Also
    --------
    skfer.ConformalClassifier : Makes the sets.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import PredictionSetDisplay
    >>> y_set = [[True, False], [True, True], [True, False], [False, True]]
    >>> display = PredictionSetDisplay.from_predictions(
    ...     ["happy", "happy", "sad", "sad"], y_set, confidence=0.8
    ... )
    >>> display.coverage.tolist(), display.sizes.tolist()
    ([1.0, 0.5], [0.0, 0.75, 0.25])
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        coverage: Any,
        sizes: Any,
        *,
        classes: Sequence[Any],
        mean_coverage: float,
        confidence: float | None = None,
    ):
        self.coverage = coverage
        self.sizes = sizes
        self.classes = classes
        self.mean_coverage = mean_coverage
        self.confidence = confidence

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        y_set: Any,
        *,
        labels: Sequence[Any] | None = None,
        confidence: float | None = None,
    ) -> PredictionSetDisplay:
        """Draw sets that are known.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_set : array-like of bool, shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        confidence : float, default=None
            What was promised, drawn as a line.

        Returns
        -------
        PredictionSetDisplay

        Raises
        ------
        ValueError
            If labels, sets and images don't belong together.
        """
        pyplot(f"{cls.__name__}.from_predictions")
        covered, sets = covered_images(y_true, y_set, labels)
        y = label_array(y_true, "y_true")
        classes = classes_of_columns(y, labels).tolist()
        of_class = [covered[y == name] for name in classes]
        counts = np.bincount(sets.sum(axis=1), minlength=len(classes) + 1)
        return cls(
            np.array([part.mean() if len(part) else np.nan for part in of_class]),
            counts / len(y),
            classes=classes,
            mean_coverage=float(covered.mean()),
            confidence=confidence,
        ).plot()

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any) -> PredictionSetDisplay:
        """Draw the sets of a fitted `skfer.ConformalClassifier`.

        Parameters
        ----------
        estimator : fitted ConformalClassifier
        X : batch of n images
            Neither fitted on nor calibrated with.
        y : array-like of shape (n,)

        Returns
        -------
        PredictionSetDisplay

        Raises
        ------
        ValueError
            If labels, sets and images don't belong together.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        return cls.from_predictions(
            y, estimator.predict_set(X), labels=estimator.classes_, confidence=estimator.confidence
        )

    def plot(self) -> PredictionSetDisplay:
        """Draw coverage by class on the left and sizes of sets on the right.

        Returns
        -------
        PredictionSetDisplay
        """
        plt = pyplot(f"{type(self).__name__}.plot")
        self.figure_, axes = plt.subplots(1, 2, figsize=_SIZE, layout="constrained")
        left, right = self.axes_ = list(axes)
        names = [str(name) for name in self.classes]
        bars = left.barh(range(len(names)), self.coverage, color=COLORS[0], height=0.7)
        left.axvline(
            self.mean_coverage,
            color=COLORS[4],
            linestyle="--",
            label=f"all images: {self.mean_coverage:.3f}",
        )
        if self.confidence is not None:
            left.axvline(
                self.confidence, color=COLORS[2], linestyle=":", label=f"stated: {self.confidence}"
            )
        left.set_yticks(range(len(names)), names)
        left.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 1.02))
        left.set_xlabel("share of sets with the right label")
        legend_above(left, 2)
        counted = right.bar(range(len(self.sizes)), self.sizes, color=COLORS[3], edgecolor="white")
        right.set_xticks(range(len(self.sizes)))
        right.set(xlabel="labels in the set", ylabel="share of the images")
        for axis in self.axes_:
            axis.spines[["top", "right"]].set_visible(False)
        self.bars_ = [bars, counted]
        return self
