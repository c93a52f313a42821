"""One panel of `HistoryDisplay`: a metric of all fits, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from skfer.inspection._axes import COLORS

# Parts of the names of metrics that are better the lower they are; all others rise.
_FALLING = ("loss", "error", "entropy", "divergence", "mae", "mse", "mape", "msle")
_MARKERS = "os^Dv*"
# Markers on a curve: enough to tell curves apart, few enough to see their course.
_MARKED_EPOCHS = 12
_KEY_COLOR = "0.35"
_BORDER_STYLE = (0, (6, 3))
_RING: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 12,
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markeredgewidth": 1.5,
    "clip_on": False,
}


class Curves(NamedTuple):
    """One fit: its values by epoch, the epochs before fine-tuning, and what it is called."""

    history: Mapping[str, np.ndarray]
    fine_tune_epoch: int | None
    name: str | None


class _Best(NamedTuple):
    """The best validation epoch, counted from 1."""

    epoch: int
    value: float

    def __str__(self) -> str:
        return f"{self.value:.3g} in epoch {self.epoch}"


def draw_panel(axis: Any, metric: str, fits: list[Curves]) -> list[Any]:
    """Draw one metric, with its legend; returns the curves."""
    alone = len(fits) == 1
    lines: list[Any] = []
    legend: dict[str, Any] = {}
    for place, fit in enumerate(fits):
        own = _draw_curves(axis, metric, fit, place, alone=alone)
        lines += own
        best = _best_epoch(fit.history.get(f"val_{metric}"), falls=_falls(metric))
        if best is not None:
            _draw_ring(axis, best)
        if fit.fine_tune_epoch is not None:
            # Between the last epoch before and the first one after.
            color = _KEY_COLOR if alone else _color(place)
            axis.axvline(fit.fine_tune_epoch + 0.5, color=color, linestyle=_BORDER_STYLE)
        if alone:
            prefix = "" if fit.name is None else f"{fit.name}, "
            legend |= {prefix + line.get_label(): line for line in own}
            legend |= {} if best is None else {f"best: {best}": _ring_key()}
        elif own:
            legend[f"{fit.name}" if best is None else f"{fit.name}: {best}"] = own[-1]
    if not alone:
        legend |= _key(lines, rings=any(f"val_{metric}" in fit.history for fit in fits))
    if any(fit.fine_tune_epoch is not None for fit in fits):
        legend["fine-tuning"] = _key_line(_BORDER_STYLE)
    _label_axis(axis, metric, n_epochs=max(len(line.get_xdata()) for line in lines))
    # Below the panel there is room for more.
    where = {} if alone else {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}
    axis.legend(legend.values(), legend.keys(), fontsize="small", **where)
    return lines


def _label_axis(axis: Any, metric: str, n_epochs: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axis.set(xlabel="epoch", ylabel=metric.replace("_", " "), xlim=(0.4, n_epochs + 0.6))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _draw_curves(axis: Any, metric: str, fit: Curves, place: int, *, alone: bool) -> list[Any]:
    """Draw what there is of training (solid) and validation (dashed)."""
    parts = {"training": (metric, "-"), "validation": (f"val_{metric}", "--")}
    lines = []
    for part, (label, (key, linestyle)) in enumerate(parts.items()):
        if key not in fit.history:
            continue
        values = fit.history[key]
        look = part if alone else place
        lines += axis.plot(
            np.arange(1, len(values) + 1),
            values,
            color=_color(look),
            linestyle=linestyle,
            marker=_MARKERS[look % len(_MARKERS)],
            markersize=4,
            markevery=-(-max(len(values), 1) // _MARKED_EPOCHS),
            # Of several fits, validation is what is compared.
            alpha=0.55 if part == 0 and not alone else 1,
            label=label,
        )
    return lines


def _draw_ring(axis: Any, best: _Best) -> None:
    axis.plot(best.epoch, best.value, **_RING)


def _key(lines: list[Any], *, rings: bool) -> dict[str, Any]:
    """What the curves of several fits mean, whatever their colour."""
    styles = {line.get_label(): line.get_linestyle() for line in lines}
    key = {part: _key_line(styles[part]) for part in ("training", "validation") if part in styles}
    return key | ({"best in validation": _ring_key()} if rings else {})


def _key_line(linestyle: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=_KEY_COLOR, linestyle=linestyle)


def _ring_key() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], **_RING | {"markersize": 9})


def _best_epoch(values: np.ndarray | None, *, falls: bool) -> _Best | None:
    if values is None or np.isnan(values).all():
        return None
    index = int(np.nanargmin(values) if falls else np.nanargmax(values))
    return _Best(index + 1, float(values[index]))


def _falls(metric: str) -> bool:
    return any(part in metric for part in _FALLING)


def _color(place: int) -> str:
    return COLORS[place % len(COLORS)]
