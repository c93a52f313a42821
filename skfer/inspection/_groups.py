"""`GroupDisplay`: recall of every class in every group, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from skfer.inspection._axes import COLORS, axes_or_new, legend_above

_MARKERS = ("o", "s", "D", "^", "v", "P")
# Inches: a line of one group, the gap between classes, and what stands around them.
_LINE, _GAP, _AROUND = 0.2, 0.12, 1.2
_WIDTH = 6.4


class GroupDisplay:
    """Accuracy and recall by group, side by side for every class.

    Parameters
    ----------
    report : Bunch
        As `skfer.evaluation.group_report` returns it. Stored as an attribute.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    errorbars_ : list of matplotlib ErrorbarContainer
        One for each group: its values in the order of the classes.

    See Also
    --------
    skfer.evaluation.group_report : Makes the report.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.evaluation import group_report
    >>> from skfer.inspection import GroupDisplay
    >>> y = ["happy", "sad"] * 40
    >>> report = group_report(y, ["happy"] * 80, groups=["a"] * 20 + ["b"] * 60)
    >>> display = GroupDisplay(report).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['all', 'happy', 'sad']
    >>> plt.close(display.figure_)
    """

    def __init__(self, report: Any):
        self.report = report

    def plot(self, ax: Any = None) -> GroupDisplay:
        """Draw a mark with its interval for every class and group.

        What is of few images has an open mark.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure, as high as there are classes and groups.

        Returns
        -------
        GroupDisplay
        """
        table = self.report.groups
        classes, groups = (list(dict.fromkeys(table[name])) for name in ("class", "group"))
        height = _AROUND + len(classes) * (_GAP + _LINE * len(groups))
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", (_WIDTH, height))
        self.figure_ = self.ax_.figure
        self.errorbars_ = []
        for place, group in enumerate(groups):
            rows = table[table["group"] == group]
            offset = 0.75 * ((place + 0.5) / len(groups) - 0.5)
            heights = np.array([classes.index(name) for name in rows["class"]]) + offset
            values = rows["value"].to_numpy(float)
            color = COLORS[place % len(COLORS)]
            images = int(rows.loc[rows["metric"] == "accuracy", "images"].iloc[0])
            bars = self.ax_.errorbar(
                values,
                heights,
                xerr=np.stack([values - rows["low"], rows["high"] - values]),
                fmt=_MARKERS[place % len(_MARKERS)],
                markersize=5,
                color=color,
                capsize=2,
                linewidth=1,
                label=f"{group} (n = {images:,})",
            )
            small = rows["small"].to_numpy(bool)
            self.ax_.plot(
                values[small],
                heights[small],
                _MARKERS[place % len(_MARKERS)],
                markersize=5,
                markeredgecolor=color,
                markerfacecolor="white",
                zorder=3,
            )
            self.errorbars_.append(bars)
        self.ax_.set_yticks(range(len(classes)), [str(name) for name in classes])
        self.ax_.set(ylim=(len(classes) - 0.5, -0.5), xlim=(-0.02, 1.02))
        self.ax_.set_xlabel("accuracy (all) and recall; open marks are of few images")
        self.ax_.grid(axis="x", alpha=0.3)
        legend_above(self.ax_)
        return self
