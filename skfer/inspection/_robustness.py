"""`RobustnessDisplay`: a score as images get worse, one panel a corruption."""

from __future__ import annotations

import math
from typing import Any

from skfer.inspection._axes import COLORS, pyplot

_COLUMNS = 4
_PANEL = (2.2, 2.1)  # inches


class RobustnessDisplay:
    """A score over the strength of each corruption.

    Parameters
    ----------
    report : DataFrame
        As `skfer.evaluation.robustness_report` returns it. Stored as an attribute.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        One for every corruption, in the order of the report.
    figure_ : matplotlib Figure
    lines_ : list of matplotlib Line2D

    See Also
    --------
    skfer.evaluation.robustness_report : Makes the report.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import pandas as pd
    >>> from skfer.inspection import RobustnessDisplay
    >>> report = pd.DataFrame(
    ...     {
    ...         "corruption": ["none", "noise", "noise"],
    ...         "strength": [0, 1, 2],
    ...         "level": [float("nan"), 0.1, 0.2],
    ...         "unit": ["", "deviation / pixel range", "deviation / pixel range"],
    ...         "accuracy": [0.7, 0.6, 0.4],
    ...     }
    ... )
    >>> display = RobustnessDisplay(report).plot()
    >>> display.lines_[0].get_ydata().tolist()
    [0.7, 0.6, 0.4]
    >>> plt.close(display.figure_)
    """

    def __init__(self, report: Any):
        self.report = report

    def plot(self, *, score: str = "accuracy") -> RobustnessDisplay:
        """Draw a panel for every corruption, all with the same axis of the score.

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
                f"score={score!r} is no column of the report: {list(self.report.columns)}."
            )
        names = [name for name in self.report["corruption"].unique() if name != "none"]
        if not names:
            raise ValueError("The report has no corruptions to draw.")
        plt = pyplot(f"{type(self).__name__}.plot")
        columns = min(_COLUMNS, len(names))
        rows = math.ceil(len(names) / columns)
        self.figure_, panels = plt.subplots(
            rows,
            columns,
            figsize=(max(columns, 2) * _PANEL[0], rows * _PANEL[1]),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        self.axes_ = list(panels.flat)[: len(names)]
        for empty in list(panels.flat)[len(names) :]:
            empty.remove()
        base = self.report.loc[self.report["corruption"] == "none", score]
        self.lines_ = []
        for axis, name in zip(self.axes_, names, strict=True):
            steps = self.report[self.report["corruption"] == name]
            values = [*base, *steps[score]]
            places = range(len(values))
            self.lines_ += axis.plot(places, values, color=COLORS[0], marker="o", markersize=4)
            if len(base):
                axis.axhline(values[0], color="0.6", linestyle=":")
            ticks = ["as is"] * len(base) + [f"{level:.3g}" for level in steps["level"]]
            axis.set_xticks(places, ticks, fontsize="x-small", rotation=45)
            axis.set_title(name.replace("_", " "), fontsize="medium")
            axis.set_xlabel(steps["unit"].iloc[0], fontsize="small")
            axis.grid(alpha=0.3)
        for row in panels:
            row[0].set_ylabel(score.replace("_", " "))
        top = max(max(line.get_ydata()) for line in self.lines_)
        self.axes_[0].set_ylim(0, max(1.1 * top, 0.05))
        return self
