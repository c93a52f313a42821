"""`ClassBalanceDisplay`: how many images there are of every class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from skfer._labels import label_array
from skfer.inspection._axes import COLORS, axes_or_new, legend_above, pyplot

# Printed in gray, sets differ by these as well.
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")
_ORDERS = ("count", "name")
# Inches: a bar, the gap between classes, and what stands around them.
_BAR, _GAP, _AROUND = 0.24, 0.14, 0.8
_WIDTH = 6.4
_GROUP_HEIGHT = 0.8


class ClassBalanceDisplay:
    """How many images there are of every class, in one set or several.

    It is recommended to use `from_labels`. Parameters are stored as attributes.

    Parameters
    ----------
    counts : array-like of shape (n_sets, n_classes), int
        Images of every class in every set.
    classes : sequence of n_classes labels
    sets : sequence of n_sets str, default=None
        Names of the sets; one set needs none.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of matplotlib BarContainer
        One for every set.
    text_ : list of matplotlib Text
        What is written on the bars, set after set.

    See Also
    --------
    sklearn.utils.class_weight.compute_class_weight : Weights that make up for an imbalance.

    References
    ----------
    Buda, M., Maki, A. & Mazurowski, M. A. (2018). A systematic study of the class imbalance
    problem in convolutional neural networks. Neural Networks 106.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.inspection import ClassBalanceDisplay
    >>> display = ClassBalanceDisplay.from_labels(["sad", "happy", "happy", "happy"])
    >>> [text.get_text() for text in display.text_]
    ['3 (75.0 %)', '1 (25.0 %)']
    >>> plt.close(display.figure_)

    Two sets side by side, by their shares:

    >>> display = ClassBalanceDisplay.from_labels(
    ...     {"Training": ["sad", "happy", "happy"], "PublicTest": ["happy", "sad"]},
    ...     normalize=True,
    ... )
    >>> len(display.bars_)
    2
    >>> plt.close(display.figure_)
    """

    def __init__(self, counts: Any, *, classes: Sequence[Any], sets: Sequence[str] | None = None):
        self.counts = counts
        self.classes = classes
        self.sets = sets

    @classmethod
    def from_labels(
        cls,
        y: Any,
        *,
        sets: Any = None,
        order: str = "count",
        normalize: bool = False,
        ax: Any = None,
    ) -> ClassBalanceDisplay:
        """Count the labels of a data set, or of its sets, and draw the counts.

        Parameters
        ----------
        y : array-like of shape (n,), or dict of str to array-like
            The label of every image; a dict has the labels of several sets by their names.
        sets : array-like of shape (n,), default=None
            The set that each image belongs to, such as FER2013's usage, if `y` is no dict.
        order : {"count", "name"}, default="count"
            As for `plot`.
        normalize : bool, default=False
            As for `plot`.
        ax : matplotlib Axes, default=None
            As for `plot`.

        Returns
        -------
        ClassBalanceDisplay

        Raises
        ------
        ValueError
            If there are no labels, or `sets` does not go with `y`.
        """
        pyplot(f"{cls.__name__}.from_labels")
        labels = _labels_by_set(y, sets)
        classes = np.unique(np.concatenate(list(labels.values())))
        counts = [[int((part == label).sum()) for label in classes] for part in labels.values()]
        names = list(labels) if isinstance(y, Mapping) or sets is not None else None
        display = cls(np.array(counts), classes=classes.tolist(), sets=names)
        return display.plot(ax, order=order, normalize=normalize)

    def plot(
        self, ax: Any = None, *, order: str = "count", normalize: bool = False
    ) -> ClassBalanceDisplay:
        """Draw a bar for every class, and for every set one beside the other.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure, as high as there are bars.
        order : {"count", "name"}, default="count"
            From top to bottom: the largest class first, or sorted by name.
        normalize : bool, default=False
            Whether bars are as long as the class's share of its set, in percent, so that sets
            of differing size compare. Counts and shares are written on the bars either way.

        Returns
        -------
        ClassBalanceDisplay

        Raises
        ------
        ValueError
            If `order` is neither, or `counts` does not fit classes and sets.
        """
        if order not in _ORDERS:
            raise ValueError(f"order={order!r} must be 'count' or 'name'.")
        counts, names = self._checked()
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        rows = _ordered(counts, self.classes, order)
        n_sets, n_classes = counts.shape
        height = _AROUND + n_classes * (_GAP + _BAR * max(n_sets, 1.5))
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", (_WIDTH, height))
        self.figure_ = self.ax_.figure
        self.bars_, self.text_ = [], []
        thickness = _GROUP_HEIGHT / n_sets
        for place in range(n_sets):
            offset = (place + 0.5) * thickness - _GROUP_HEIGHT / 2
            bars = self.ax_.barh(
                np.arange(n_classes) + offset,
                (shares if normalize else counts)[place, rows],
                height=thickness,
                color=COLORS[place % len(COLORS)],
                edgecolor="white",
                hatch=_HATCHES[place % len(_HATCHES)],
                label=names[place],
            )
            written = [f"{counts[place, row]:,} ({shares[place, row]:.1f} %)" for row in rows]
            self.bars_.append(bars)
            self.text_ += self.ax_.bar_label(bars, written, padding=3, fontsize="small")
        self._label_axes(rows, normalize)
        return self

    def _label_axes(self, rows: list[int], normalize: bool) -> None:
        self.ax_.set_yticks(range(len(rows)), [str(self.classes[row]) for row in rows])
        self.ax_.set_ylim(len(rows) - 0.5, -0.5)
        # Room for what is written behind the longest bar.
        self.ax_.set_xlim(0, 1.3 * self.ax_.get_xlim()[1])
        self.ax_.set_xlabel("share of the set in %" if normalize else "images")
        self.ax_.spines[["top", "right"]].set_visible(False)
        if not normalize:
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        if self.sets is not None:
            legend_above(self.ax_)

    def _checked(self) -> tuple[np.ndarray, list[str]]:
        counts = np.atleast_2d(self.counts)
        names = [""] * len(counts) if self.sets is None else [str(name) for name in self.sets]
        if counts.shape != (len(names), len(self.classes)) or not counts.size:
            raise ValueError(
                f"counts has shape {counts.shape}; it must have a row for each of the "
                f"{len(names)} sets and a column for each of the {len(self.classes)} classes."
            )
        return counts, names


def _labels_by_set(y: Any, sets: Any) -> dict[str, np.ndarray]:
    if isinstance(y, Mapping):
        if sets is not None:
            raise ValueError("y is a dict and names its sets: leave sets at None.")
        labels = {str(name): label_array(part, f"y[{name!r}]") for name, part in y.items()}
    else:
        every = label_array(y)
        if sets is None:
            labels = {"": every}
        else:
            check_consistent_length(every, sets)
            of = column_or_1d(sets)
            labels = {str(name): every[of == name] for name in dict.fromkeys(of.tolist())}
    if not any(len(part) for part in labels.values()):
        raise ValueError("y holds no labels: at least 1 is needed.")
    return labels


def _ordered(counts: np.ndarray, classes: Sequence[Any], order: str) -> list[int]:
    """Places of the classes from top to bottom; equal counts go by name."""
    by_name = sorted(range(len(classes)), key=lambda row: classes[row])
    if order == "name":
        return by_name
    return sorted(by_name, key=lambda row: -counts[:, row].sum())
