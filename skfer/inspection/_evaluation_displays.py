"""Plots of the trust in predictions and of the reports of `skfer.evaluation`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from skfer._labels import label_array
from skfer._utils import pyplot
from skfer.inspection._plotting import COLORS, Display, legend_above
from skfer.metrics import coverage_curve, reliability_curve
from skfer.metrics._probabilities import column_classes
from skfer.metrics._selective import covered_images

_MARKERS = ("o", "s", "D", "^", "v", "P")
# Accuracy is noise for very few images: below this coverage nothing is drawn.
_MIN_COVERAGE = 0.02
_THRESHOLD_MARKS = (0.5, 0.6, 0.7, 0.8, 0.9)
# Area in points of the mark of a bin that holds all images.
_LARGEST_MARK = 400.0
# Scores above this are written in white on the dark cell of a heat map.
_DARK_CELL = 0.6


class _ProbabilityDisplay(Display):
    """Base of the displays of predicted probabilities."""

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any, **options: Any) -> Self:
        """Plot the curve of a fitted classifier or Pipeline.

        Parameters
        ----------
        estimator : fitted classifier with `predict_proba`
        X : batch of n images
        y : array-like of shape (n,)
        **options : dict
            As in `from_predictions`, without `labels`.

        Returns
        -------
        CoverageDisplay or ReliabilityDisplay
        """
        pyplot(f"{cls.__name__}.from_estimator")
        proba = estimator.predict_proba(X)
        options |= {"labels": estimator.classes_}
        return cls.from_predictions(y, proba, **options)  # type: ignore[attr-defined]


class _ReportDisplay(Display):
    """Base of the displays of a report."""

    def __init__(self, report: Any):
        self.report = report


class CoverageDisplay(_ProbabilityDisplay):
    """Accuracy as a function of coverage, the share of images that are answered.

    Parameters
    ----------
    coverage, accuracy, thresholds : array-like of shape (n_thresholds,)
        Result of `skfer.metrics.coverage_curve`.
    name : str, default=None
        Name of the curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The curve.
    text_ : list of matplotlib Text
        Thresholds next to the curve.

    Raises
    ------
    ValueError
        If labels and probabilities do not match.

    See Also
    --------
    skfer.AbstainingClassifier : Abstains below a threshold.

    Examples
    --------
    >>> from skfer.inspection import CoverageDisplay
    >>> y_proba = [[0.9, 0.1], [0.2, 0.8], [0.65, 0.35], [0.4, 0.6]]
    >>> display = CoverageDisplay.from_predictions(["a", "b", "b", "b"], y_proba)
    >>> display.line_.get_ydata().tolist()
    [1.0, 1.0, 0.66..., 0.75]
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
        """Plot the curve of given probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_proba : array-like of shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        name : str, default=None
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        CoverageDisplay
        """
        pyplot(f"{cls.__name__}.from_predictions")
        return cls(*coverage_curve(y_true, y_proba, labels=labels), name=name).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> CoverageDisplay:
        """Draw the curve and mark some thresholds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Further curves in the same axes get other colours.
        name : str, default=None
            None is the name of the display.

        Returns
        -------
        CoverageDisplay
        """
        check_consistent_length(self.coverage, self.accuracy, self.thresholds)
        curve = np.array([self.coverage, self.accuracy, self.thresholds])
        coverage, accuracy, thresholds = curve[:, curve[0] >= min(_MIN_COVERAGE, curve[0, -1])]
        self._set_axes(ax, (6.0, 4.0))
        color = COLORS[len(self.ax_.lines) % len(COLORS)]
        marks = sorted(
            {
                int(np.flatnonzero(thresholds >= mark)[-1])
                for mark in _THRESHOLD_MARKS
                if thresholds[0] >= mark >= thresholds[-1]
            }
        )
        name = name or self.name
        (self.line_,) = self.ax_.plot(
            coverage, accuracy, color=color, marker="o", markersize=4, markevery=marks, label=name
        )
        self.text_ = [
            self.ax_.annotate(
                f"{thresholds[mark]:.2f}",
                (coverage[mark], accuracy[mark]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="small",
                color=color,
            )
            for mark in marks
        ]
        self.ax_.set(xlabel="coverage: share of images answered", ylabel="accuracy of the answers")
        self.ax_.set_xlim(0, 1.06)
        self.ax_.set_title("thresholds of the probability next to the curve", fontsize="small")
        self.ax_.grid(alpha=0.3)
        if name:
            self.ax_.legend(frameon=False)
        return self


class ReliabilityDisplay(_ProbabilityDisplay):
    """Accuracy of the predicted class as a function of its probability.

    `sklearn.calibration.CalibrationDisplay` plots one of two classes; this display plots the most
    probable of many.

    Parameters
    ----------
    accuracy, confidence, counts : array-like of shape (n_bins,)
        Result of `skfer.metrics.reliability_curve`.
    name : str, default=None
        Name of the curve.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The curve.
    error_ : float
        Expected calibration error in these bins.

    Raises
    ------
    ValueError
        If labels and probabilities do not match, or `n_bins` is less than 1.

    See Also
    --------
    skfer.metrics.expected_calibration_error : Mean distance from the diagonal.
    skfer.metrics.fit_temperature : Recalibrates probabilities.

    References
    ----------
    DeGroot, M. H. & Fienberg, S. E. (1983). The comparison and evaluation of forecasters. The
    Statistician 32, 12-22.

    Examples
    --------
    >>> from skfer.inspection import ReliabilityDisplay
    >>> display = ReliabilityDisplay.from_predictions(["a", "b", "a", "a"], [[0.7, 0.3]] * 4)
    >>> round(display.error_, 2)
    0.05
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
        """Plot the curve of given probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_proba : array-like of shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        n_bins : int, default=15
        name : str, default=None
        ax : matplotlib Axes, default=None
            As in `plot`.

        Returns
        -------
        ReliabilityDisplay
        """
        pyplot(f"{cls.__name__}.from_predictions")
        curve = reliability_curve(y_true, y_proba, labels=labels, n_bins=n_bins)
        return cls(*curve, name=name).plot(ax)

    def plot(self, ax: Any = None, *, name: str | None = None) -> ReliabilityDisplay:
        """Draw the curve, with a mark for each bin whose area is the number of images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure. Further curves in the same axes get other colours.
        name : str, default=None
            None is the name of the display.

        Returns
        -------
        ReliabilityDisplay
        """
        check_consistent_length(self.accuracy, self.confidence, self.counts)
        accuracy, confidence, counts = map(
            np.asarray, (self.accuracy, self.confidence, self.counts)
        )
        self.error_ = float(np.average(abs(accuracy - confidence), weights=counts))
        self._set_axes(ax, (4.8, 4.8))
        n_curves = sum(line.get_gid() == "reliability" for line in self.ax_.lines)
        if n_curves == 0:
            self.ax_.plot([0, 1], [0, 1], color="0.6", linestyle=":", label="perfectly calibrated")
            self.ax_.set(xlabel="probability of the predicted class", ylabel="accuracy")
            self.ax_.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        color = COLORS[n_curves % len(COLORS)]
        name = name or self.name
        label = f"{name}: " if name else ""
        (self.line_,) = self.ax_.plot(
            confidence,
            accuracy,
            color=color,
            gid="reliability",
            label=f"{label}calibration error {self.error_:.3f}",
        )
        sizes = _LARGEST_MARK * counts / counts.sum()
        self.ax_.scatter(confidence, accuracy, sizes, color=color, clip_on=False)
        legend_above(self.ax_, 1)
        return self


class PredictionSetDisplay:
    """Coverage of prediction sets by class, and the distribution of their sizes.

    Parameters
    ----------
    coverage : array-like of shape (n_classes,)
        Share of the images of each class whose set contains the true label; NaN without images.
    sizes : array-like of shape (n_classes + 1,)
        Share of the images with a set of 0, 1, 2 ... labels.
    classes : sequence of n_classes labels
    mean_coverage : float
        Coverage of all images.
    confidence : float, default=None
        Guaranteed coverage, drawn as a line.

    Attributes
    ----------
    axes_ : list of 2 matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of 2 matplotlib BarContainer

    Raises
    ------
    ValueError
        If labels, sets and images do not match.

    See Also
    --------
    skfer.ConformalClassifier : Predicts the sets.

    Examples
    --------
    >>> from skfer.inspection import PredictionSetDisplay
    >>> y_set = [[True, False], [True, True], [True, False], [False, True]]
    >>> display = PredictionSetDisplay.from_predictions(
    ...     ["happy", "happy", "sad", "sad"], y_set, confidence=0.8
    ... )
    >>> display.coverage.tolist(), display.sizes.tolist()
    ([1.0, 0.5], [0.0, 0.75, 0.25])
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
        """Plot given sets.

        Parameters
        ----------
        y_true : array-like of shape (n,)
        y_set : array-like of bool, shape (n, n_classes)
        labels : sequence of n_classes labels, default=None
            The class of each column; None is the sorted labels of `y_true`.
        confidence : float, default=None
            Guaranteed coverage.

        Returns
        -------
        PredictionSetDisplay
        """
        pyplot(f"{cls.__name__}.from_predictions")
        covered, sets = covered_images(y_true, y_set, labels)
        y = label_array(y_true, "y_true")
        classes = column_classes(y, labels).tolist()
        by_class = [covered[y == name] for name in classes]
        counts = np.bincount(sets.sum(axis=1), minlength=len(classes) + 1)
        return cls(
            np.array([part.mean() if len(part) else np.nan for part in by_class]),
            counts / len(y),
            classes=classes,
            mean_coverage=float(covered.mean()),
            confidence=confidence,
        ).plot()

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any) -> PredictionSetDisplay:
        """Plot the sets of a fitted `skfer.ConformalClassifier`.

        Parameters
        ----------
        estimator : fitted ConformalClassifier
        X : batch of n images
            Images that were used neither for fitting nor for calibration.
        y : array-like of shape (n,)

        Returns
        -------
        PredictionSetDisplay
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
        self.figure_, axes = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained")
        left, right = self.axes_ = list(axes)
        names = [str(name) for name in self.classes]
        coverage = left.barh(range(len(names)), self.coverage, color=COLORS[0], height=0.7)
        left.axvline(
            self.mean_coverage,
            color=COLORS[4],
            linestyle="--",
            label=f"all images: {self.mean_coverage:.3f}",
        )
        if self.confidence is not None:
            left.axvline(
                self.confidence,
                color=COLORS[2],
                linestyle=":",
                label=f"guaranteed: {self.confidence}",
            )
        left.set_yticks(range(len(names)), names)
        left.set(ylim=(len(names) - 0.5, -0.5), xlim=(0, 1.02))
        left.set_xlabel("share of sets with the true label")
        legend_above(left, 2)
        sizes = right.bar(range(len(self.sizes)), self.sizes, color=COLORS[3], edgecolor="white")
        right.set_xticks(range(len(self.sizes)))
        right.set(xlabel="labels in the set", ylabel="share of images")
        for axis in self.axes_:
            axis.spines[["top", "right"]].set_visible(False)
        self.bars_ = [coverage, sizes]
        return self


class CrossDatasetDisplay(_ReportDisplay):
    """Heat map of the score of each classifier on each data set, with confidence intervals.

    Parameters
    ----------
    report : DataFrame
        Result of `skfer.evaluation.cross_dataset_matrix`. Stored as an attribute.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    image_ : matplotlib AxesImage
        A row for each classifier and a column for each data set.
    text_ : list of matplotlib Text
        Score, interval, and numbers of labels and images, row by row.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfer.inspection import CrossDatasetDisplay
    >>> columns = ["estimator", "dataset", "metric", "value", "low", "high", "images", "n_labels"]
    >>> rows = [("mine", "CK+", "accuracy", 0.9, 0.85, 0.94, 300, 5)]
    >>> display = CrossDatasetDisplay(pd.DataFrame(rows, columns=columns)).plot()
    >>> display.image_.get_array().tolist()
    [[0.9]]
    """

    def plot(
        self, ax: Any = None, *, metric: str = "accuracy", cmap: Any = "Blues"
    ) -> CrossDatasetDisplay:
        """Draw the heat map, from 0 to 1.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure of suitable size.
        metric : str, default="accuracy"
            Score of the report.
        cmap : str or matplotlib Colormap, default="Blues"

        Returns
        -------
        CrossDatasetDisplay

        Raises
        ------
        ValueError
            If the report has no such score.
        """
        cells = self.report[self.report["metric"] == metric]
        if not len(cells):
            known = list(dict.fromkeys(self.report["metric"]))
            raise ValueError(f"metric={metric!r} is none of the report's: {known}.")
        estimators = list(dict.fromkeys(cells["estimator"]))
        datasets = list(dict.fromkeys(cells["dataset"]))
        values = np.full((len(estimators), len(datasets)), np.nan)
        size = (2.0 + 1.9 * len(datasets), 1.3 + 0.95 * len(estimators))
        self._set_axes(ax, size)
        self.text_ = []
        for cell in cells.to_dict("records"):
            row, column = estimators.index(cell["estimator"]), datasets.index(cell["dataset"])
            values[row, column] = cell["value"]
            self.text_.append(
                self.ax_.text(
                    column,
                    row,
                    f"{cell['value']:.3f}\n{cell['low']:.3f} \N{EN DASH} {cell['high']:.3f}\n"
                    f"{cell['n_labels']} labels, {cell['images']:,} images",
                    color="white" if cell["value"] > _DARK_CELL else "black",
                    horizontalalignment="center",
                    verticalalignment="center",
                    fontsize="small",
                )
            )
        self.image_ = self.ax_.imshow(values, vmin=0, vmax=1, cmap=cmap, aspect="auto")
        self.ax_.set_xticks(range(len(datasets)), datasets)
        self.ax_.set_yticks(range(len(estimators)), estimators)
        self.ax_.tick_params(length=0)
        self.ax_.spines[:].set_visible(False)
        self.ax_.set_title(f"{metric.replace('_', ' ')} and its interval", fontsize="medium")
        return self


class GroupDisplay(_ReportDisplay):
    """Accuracy and recall of each class by group, with confidence intervals.

    Parameters
    ----------
    report : Bunch
        Result of `skfer.evaluation.group_report`. Stored as an attribute.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    errorbars_ : list of matplotlib ErrorbarContainer
        Values of each group in the order of the classes.

    Examples
    --------
    >>> from skfer.evaluation import group_report
    >>> from skfer.inspection import GroupDisplay
    >>> y = ["happy", "sad"] * 40
    >>> report = group_report(y, ["happy"] * 80, groups=["a"] * 20 + ["b"] * 60)
    >>> display = GroupDisplay(report).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['all', 'happy', 'sad']
    """

    def plot(self, ax: Any = None) -> GroupDisplay:
        """Draw a mark with its interval for each class and group; open marks have few images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure of suitable height.

        Returns
        -------
        GroupDisplay
        """
        table = self.report.groups
        classes, groups = (list(dict.fromkeys(table[name])) for name in ("class", "group"))
        height = 1.2 + len(classes) * (0.12 + 0.2 * len(groups))
        self._set_axes(ax, (6.4, height))
        self.errorbars_ = []
        for number, group in enumerate(groups):
            rows = table[table["group"] == group]
            offset = 0.75 * ((number + 0.5) / len(groups) - 0.5)
            y = np.array([classes.index(name) for name in rows["class"]]) + offset
            values = rows["value"].to_numpy(float)
            color, marker = COLORS[number % len(COLORS)], _MARKERS[number % len(_MARKERS)]
            n_images = int(rows.loc[rows["metric"] == "accuracy", "images"].iloc[0])
            self.errorbars_.append(
                self.ax_.errorbar(
                    values,
                    y,
                    xerr=np.stack([values - rows["low"], rows["high"] - values]),
                    fmt=marker,
                    markersize=5,
                    color=color,
                    capsize=2,
                    linewidth=1,
                    label=f"{group} (n = {n_images:,})",
                )
            )
            small = rows["small"].to_numpy(bool)
            self.ax_.plot(
                values[small],
                y[small],
                marker,
                markersize=5,
                markeredgecolor=color,
                markerfacecolor="white",
                zorder=3,
            )
        self.ax_.set_yticks(range(len(classes)), [str(name) for name in classes])
        self.ax_.set(ylim=(len(classes) - 0.5, -0.5), xlim=(-0.02, 1.02))
        self.ax_.set_xlabel("accuracy (all) and recall; open marks: few images")
        self.ax_.grid(axis="x", alpha=0.3)
        legend_above(self.ax_)
        return self


class RobustnessDisplay(_ReportDisplay):
    """Score as a function of the strength of each corruption.

    Parameters
    ----------
    report : DataFrame
        Result of `skfer.evaluation.robustness_report`. Stored as an attribute.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        One for each corruption, in the order of the report.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    Examples
    --------
    >>> import pandas as pd
    >>> from skfer.inspection import RobustnessDisplay
    >>> columns = ["corruption", "level", "unit", "accuracy"]
    >>> rows = [("none", float("nan"), "", 0.7), ("noise", 0.1, "deviation", 0.6)]
    >>> display = RobustnessDisplay(pd.DataFrame(rows, columns=columns)).plot()
    >>> display.lines_[0].get_ydata().tolist()
    [0.7, 0.6]
    """

    def plot(self, *, score: str = "accuracy") -> RobustnessDisplay:
        """Draw a panel for each corruption, with a common axis of the score.

        Parameters
        ----------
        score : str, default="accuracy"
            Column of the report.

        Returns
        -------
        RobustnessDisplay

        Raises
        ------
        ValueError
            If the report has no such column or no corruptions.
        """
        if score not in self.report.columns:
            raise ValueError(
                f"score={score!r} is not a column of the report: {list(self.report.columns)}."
            )
        names = [name for name in self.report["corruption"].unique() if name != "none"]
        if not names:
            raise ValueError("The report has no corruptions to draw.")
        plt = pyplot(f"{type(self).__name__}.plot")
        columns = min(4, len(names))
        rows = math.ceil(len(names) / columns)
        self.figure_, panels = plt.subplots(
            rows,
            columns,
            figsize=(max(columns, 2) * 2.2, rows * 2.1),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        self.axes_ = list(panels.flat)[: len(names)]
        for empty in list(panels.flat)[len(names) :]:
            empty.remove()
        unchanged = self.report.loc[self.report["corruption"] == "none", score]
        self.lines_ = []
        for axis, name in zip(self.axes_, names, strict=True):
            steps = self.report[self.report["corruption"] == name]
            values = [*unchanged, *steps[score]]
            x = range(len(values))
            self.lines_ += axis.plot(x, values, color=COLORS[0], marker="o", markersize=4)
            if len(unchanged):
                axis.axhline(values[0], color="0.6", linestyle=":")
            ticks = ["none"] * len(unchanged) + [f"{level:.3g}" for level in steps["level"]]
            axis.set_xticks(x, ticks, fontsize="x-small", rotation=45)
            axis.set_title(name.replace("_", " "), fontsize="medium")
            axis.set_xlabel(steps["unit"].iloc[0], fontsize="small")
            axis.grid(alpha=0.3)
        for row in panels:
            row[0].set_ylabel(score.replace("_", " "))
        drawn = np.concatenate([line.get_ydata() for line in self.lines_])
        self.axes_[0].set_ylim(min(1.1 * np.nanmin(drawn), 0), max(1.1 * np.nanmax(drawn), 0.05))
        return self
