"""Plotting helpers that all displays share."""

from __future__ import annotations

from typing import Any

from skfer._utils import pyplot

# Distinguishable with red-green colour blindness; neighbours also differ in lightness, for print
# in gray.
COLORS = ("#0072b2", "#e69f00", "#1a1a1a", "#56b4e9", "#d55e00", "#009e73")


class Display:
    """Base of the displays that draw into one axes."""

    ax_: Any
    figure_: Any

    def _set_axes(self, ax: Any, size: tuple[float, float]) -> None:
        """Set `ax_` and `figure_`; None makes a new figure of a size in inches."""
        plt = pyplot(f"{type(self).__name__}.plot")
        self.ax_ = plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax
        self.figure_ = self.ax_.figure


def legend_above(ax: Any, n_columns: int = 3) -> None:
    """Draw the legend above the axes, where it covers no data."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, frameon=False, fontsize="small"
    )
