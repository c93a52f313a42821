"""`ClassBalanceDisplay`: number of images of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d

from skfer._labels import label_array
from skfer._utils import pyplot
from skfer.inspection._plotting import COLORS, Display, legend_above

# Distinguish sets in print without colour.
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "+++")
_ORDERS = ("count", "name")
# Inches: a bar, the gap between classes, and the margin.
_BAR, _GAP, _MARGIN = 0.24, 0.14, 0.8
_WIDTH = 6.4
_GROUP_HEIGHT = 0.8


class ClassBalanceDisplay(Display):
    """Number of images of each class, in one set or several.

    Parameters
    ----------
    counts : array-like of shape (n_sets, n_classes), int
        Number of images of each class in each set.
    classes : sequence of n_classes labels
    sets : sequence of n_sets str, default=None
        Names of the sets. A single set needs no name.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : list of matplotlib BarContainer
        One for each set.
    text_ : list of matplotlib Text
        Text on the bars, set by set.

    Raises
    ------
    ValueError
        If there are no labels, `order` is unknown, or labels, counts and sets do not match.

    See Also
    --------
    sklearn.utils.class_weight.compute_class_weight : Weights against class imbalance.

    References
    ----------
    Buda, M., Maki, A. & Mazurowski, M. A. (2018). A systematic study of the class imbalance
    problem in convolutional neural networks. Neural Networks 106.

    Examples
    --------
    >>> from skfer.inspection import ClassBalanceDisplay
    >>> display = ClassBalanceDisplay.from_labels(["sad", "happy", "happy", "happy"])
    >>> [text.get_text() for text in display.text_]
    ['3 (75.0 %)', '1 (25.0 %)']

    Compare the shares of two sets:

    >>> display = ClassBalanceDisplay.from_labels(
    ...     {"Training": ["sad", "happy", "happy"], "PublicTest": ["happy", "sad"]},
    ...     normalize=True,
    ... )
    >>> len(display.bars_)
    2
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
        """Count labels and plot the counts.

        Parameters
        ----------
        y : array-like of shape (n,), or dict of str to array-like
            Labels; a dict holds the labels of several named sets.
        sets : array-like of shape (n,), default=None
            Name of the set of each image, such as FER2013's usage, if `y` is not a dict.
        order, normalize, ax
            As in `plot`.

        Returns
        -------
        ClassBalanceDisplay
        """
        pyplot(f"{cls.__name__}.from_labels")
        labels = _labels_by_set(y, sets)
        classes, codes = np.unique(np.concatenate(list(labels.values())), return_inverse=True)
        parts = np.split(codes, np.cumsum([len(part) for part in labels.values()])[:-1])
        counts = [np.bincount(part, minlength=len(classes)) for part in parts]
        names = list(labels) if isinstance(y, Mapping) or sets is not None else None
        display = cls(np.array(counts), classes=classes.tolist(), sets=names)
        return display.plot(ax, order=order, normalize=normalize)

    def plot(
        self, ax: Any = None, *, order: str = "count", normalize: bool = False
    ) -> ClassBalanceDisplay:
        """Draw a bar for each class and set.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None makes a new figure of suitable height.
        order : {"count", "name"}, default="count"
            Order from top to bottom: largest class first, or by name.
        normalize : bool, default=False
            If True, the length of a bar is the share of the class in its set, in percent. Counts
            and shares are written on the bars in both cases.

        Returns
        -------
        ClassBalanceDisplay
        """
        if order not in _ORDERS:
            raise ValueError(f"order={order!r} must be 'count' or 'name'.")
        counts, names = self._validate()
        shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        rows = sorted(range(len(self.classes)), key=lambda row: self.classes[row])
        if order == "count":
            rows.sort(key=lambda row: -counts[:, row].sum())  # stable: ties remain sorted by name
        n_sets, n_classes = counts.shape
        height = _MARGIN + n_classes * (_GAP + _BAR * max(n_sets, 1.5))
        self._set_axes(ax, (_WIDTH, height))
        self.bars_, self.text_ = [], []
        thickness = _GROUP_HEIGHT / n_sets
        for number in range(n_sets):
            offset = (number + 0.5) * thickness - _GROUP_HEIGHT / 2
            bars = self.ax_.barh(
                np.arange(n_classes) + offset,
                (shares if normalize else counts)[number, rows],
                height=thickness,
                color=COLORS[number % len(COLORS)],
                edgecolor="white",
                hatch=_HATCHES[number % len(_HATCHES)],
                label=names[number],
            )
            texts = [f"{counts[number, row]:,} ({shares[number, row]:.1f} %)" for row in rows]
            self.bars_.append(bars)
            self.text_ += self.ax_.bar_label(bars, texts, padding=3, fontsize="small")
        self._label_axes(rows, normalize)
        return self

    def _label_axes(self, rows: list[int], normalize: bool) -> None:
        self.ax_.set_yticks(range(len(rows)), [str(self.classes[row]) for row in rows])
        self.ax_.set_ylim(len(rows) - 0.5, -0.5)
        # Room for the text after the longest bar.
        self.ax_.set_xlim(0, 1.3 * self.ax_.get_xlim()[1])
        self.ax_.set_xlabel("share of the set in %" if normalize else "images")
        self.ax_.spines[["top", "right"]].set_visible(False)
        if not normalize:
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        if self.sets is not None:
            legend_above(self.ax_)

    def _validate(self) -> tuple[np.ndarray, list[str]]:
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
            raise ValueError("y is a dict that names its sets: leave sets at None.")
        labels = {str(name): label_array(part, f"y[{name!r}]") for name, part in y.items()}
    else:
        all_labels = label_array(y)
        if sets is None:
            labels = {"": all_labels}
        else:
            check_consistent_length(all_labels, sets)
            sets = column_or_1d(sets)
            labels = {str(name): all_labels[sets == name] for name in dict.fromkeys(sets.tolist())}
    if not any(len(part) for part in labels.values()):
        raise ValueError("y holds no labels: at least 1 is needed.")
    return labels
