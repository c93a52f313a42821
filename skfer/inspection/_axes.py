"""What the displays share: matplotlib where it is needed, colours, a legend."""

from __future__ import annotations

from typing import Any

from skfer._extras import import_extra

# Told apart by people who don't see red and green alike, and printed in gray: neighbours differ
# in lightness too.
COLORS = ("#0072b2", "#e69f00", "#1a1a1a", "#56b4e9", "#d55e00", "#009e73")


def pyplot(caller: str) -> Any:
    """`matplotlib.pyplot`, or an error that says what to install."""
    return import_extra("matplotlib.pyplot", caller, "plot")


def axes_or_new(ax: Any, caller: str, size: tuple[float, float]) -> Any:
    """The axes given, or those of a new figure of that size, in inches."""
    plt = pyplot(caller)
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def legend_above(ax: Any, n_columns: int = 3) -> None:
    """A legend over the axes, where it covers nothing."""
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=n_columns, frameon=False, fontsize="small"
    )
