"""`ImageGridDisplay`: some images of every class."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import cv2
import numpy as np
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from skfer._base import ImageEstimator
from skfer._labels import label_array
from skfer._pixel_range import PixelRange
from skfer._utils import shorten
from skfer.inspection._axes import axes_or_new, pyplot

# Photos are shown in a cell of an inch: more pixels than this would only take memory.
_LARGEST_SIDE = 256
# The share of a cell that an image fills, and where what was predicted is written.
_IMAGE_SIDE = 0.92
_TEXT_HEIGHT = 0.2
# Inches: a cell of the grid, and the names of the classes beside it.
_CELL, _MARGIN = 1.05, 1.0
# Of bold letters, in font sizes, on the safe side.
_LETTER_WIDTH = 0.68
_FONT_SIZES = (6.5, 9.0)
_RIGHT, _WRONG = "#009e73", "#d55e00"


class ImageGridDisplay:
    r"""Some images of every class, a row for each.

    What a class looks like, whether its labels can be trusted, and which of its images a
    classifier gets wrong.

    It is recommended to use `from_data`. Parameters are stored as attributes.

    Parameters
    ----------
    images : list of lists of ndarray of shape (H, W) or (H, W, 3)
        The images of every row, uint8 or float32.
    classes : sequence of n_classes labels
        The class of every row.
    counts : sequence of n_classes int, default=None
        How many images of the class there are in all.
    y_pred : list of lists of labels, default=None
        What was predicted for every image.
    indices : list of ndarray of int, shape (n_shown,), default=None
        Where the images stand in the data they were drawn from.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        Row after row.
    text_ : list of matplotlib Text
        What was predicted, in the same order; empty without `y_pred`.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import ImageGridDisplay
    >>> faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    >>> display = ImageGridDisplay.from_data(faces.images, faces.labels, n_images=3)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['happy\nn = 10', 'sad\nn = 10']
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        images: Sequence[Sequence[np.ndarray]],
        *,
        classes: Sequence[Any],
        counts: Sequence[int] | None = None,
        y_pred: Sequence[Sequence[Any]] | None = None,
        indices: Sequence[np.ndarray] | None = None,
    ):
        self.images = images
        self.classes = classes
        self.counts = counts
        self.y_pred = y_pred
        self.indices = indices

    @classmethod
    def from_data(
        cls,
        X: Any,
        y: Any,
        *,
        y_pred: Any = None,
        n_images: int = 5,
        classes: Sequence[Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
        cmap: Any = "gray",
    ) -> ImageGridDisplay:
        """Draw images by lot from every class.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes, of any sizes. Only the images shown are read.
        y : array-like of shape (n,)
            The class of every image.
        y_pred : array-like of shape (n,), default=None
            What a classifier said of every image. It is written below the image, and what is
            wrong gets a cross and a thick frame.
        n_images : int, default=5
            Images a class; a class that has fewer shows all it has.
        classes : sequence of labels, default=None
            The classes to show, in this order; None is all of `y`, sorted.
        random_state : int, RandomState instance or None, default=None
            Decides which images are drawn.
        ax : matplotlib Axes, default=None
            As for `plot`.
        cmap : str or matplotlib Colormap, default="gray"
            As for `plot`.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            If `X` is no batch of images, lengths differ, a class has no images, or an image
            that was drawn can't be read.
        """
        pyplot(f"{cls.__name__}.from_data")
        if not isinstance(n_images, Integral) or n_images < 1:
            raise ValueError(f"n_images={n_images!r} must be an int of at least 1.")
        batch = ImageEstimator()._images(X, reset=True)
        y = label_array(y)
        check_consistent_length(batch, y, y_pred)
        counts = _counts(y, classes)
        rng = check_random_state(random_state)
        rows = [
            rng.choice(np.flatnonzero(y == label), min(n_images, count), replace=False)
            for label, count in counts.items()
        ]
        display = cls(
            [[shrunk(batch[place]) for place in row] for row in rows],
            classes=list(counts),
            counts=list(counts.values()),
            y_pred=None if y_pred is None else [column_or_1d(y_pred)[row].tolist() for row in rows],
            indices=rows,
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax: Any = None, *, cmap: Any = "gray") -> ImageGridDisplay:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The whole grid goes into it. None makes a new figure, as large as the grid needs.
        cmap : str or matplotlib Colormap, default="gray"
            How gray images are coloured. uint8 goes from 0 to 255, floats from the lowest to
            the highest value of their scale.

        Returns
        -------
        ImageGridDisplay

        Raises
        ------
        ValueError
            If there are no images.
        """
        n_columns = max(map(len, self.images), default=0)
        if n_columns == 0:
            raise ValueError("images is empty: at least 1 image is needed.")
        row_height = 1 + (0 if self.y_pred is None else _TEXT_HEIGHT)
        grid = (n_columns, row_height * len(self.images))
        size = (_MARGIN + _CELL * grid[0], _CELL * grid[1])
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", size)
        self.figure_ = self.ax_.figure
        self.images_: list[Any] = []
        self.text_: list[Any] = []
        for row, images in enumerate(self._scaled()):
            for column, image in enumerate(images):
                center = (column + 0.5, row * row_height + 0.5)
                self.images_.append(draw_image(self.ax_, image, center, cmap))
                if self.y_pred is not None:
                    self._draw_prediction(row, column, column + 0.5)
        self._label_axes(row_height, grid)
        return self

    def _scaled(self) -> list[list[np.ndarray]]:
        """The images between 0 and 1, those of floats on one scale."""
        floats = [image.ravel() for row in self.images for image in row if image.dtype != np.uint8]
        scale = PixelRange.of(np.concatenate(floats)) if floats else None
        return [[between_0_and_1(image, scale) for image in row] for row in self.images]

    def _draw_prediction(self, row: int, column: int, center: float) -> None:
        """Write what was predicted; a cross and a thick frame tell what is wrong without colour."""
        predicted = self.y_pred[row][column]  # type: ignore[index]
        right = predicted == self.classes[row]
        color = _RIGHT if right else _WRONG
        left, right_edge, bottom, top = self.images_[-1].get_extent()
        self.ax_.plot(
            [left, right_edge, right_edge, left, left],
            [bottom, bottom, top, top, bottom],
            color=color,
            linewidth=1 if right else 3,
        )
        self.text_.append(
            self.ax_.text(
                center,
                bottom + 0.04,
                str(predicted) if right else f"\N{MULTIPLICATION SIGN} {predicted}",
                color="black" if right else color,
                weight="normal" if right else "bold",
                horizontalalignment="center",
                verticalalignment="top",
            )
        )

    def _label_axes(self, row_height: float, grid: tuple[int, float]) -> None:
        names = [str(label) for label in self.classes]
        if self.counts is not None:
            names = [
                f"{name}\nn = {count:,}" for name, count in zip(names, self.counts, strict=True)
            ]
        axis = self.ax_
        axis.set(xticks=[], xlim=(0, grid[0]), ylim=(grid[1], 0), aspect="equal")
        axis.set_yticks([row * row_height + 0.5 for row in range(len(names))], names)
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        area = axis.get_window_extent()
        cell = min(area.width / grid[0], area.height / grid[1]) * 72 / self.figure_.dpi
        for text in self.text_:
            _fit_into(text, cell)


def _fit_into(text: Any, width: float) -> None:
    """Make a text small enough for a width in points, and cut it where it can't be smaller."""
    letters = len(text.get_text())
    smallest, largest = _FONT_SIZES
    size = min(max(width / (_LETTER_WIDTH * letters), smallest), largest)
    room = int(width / (_LETTER_WIDTH * size))
    text.set_fontsize(size)
    if letters > room:
        text.set_text(f"{text.get_text()[: max(room - 1, 1)]}\N{HORIZONTAL ELLIPSIS}")


def _counts(y: np.ndarray, classes: Sequence[Any] | None) -> dict[Any, int]:
    """How many images there are of each class that is shown."""
    known = dict(zip(*(part.tolist() for part in np.unique(y, return_counts=True)), strict=True))
    if classes is None:
        return known
    missing = [label for label in classes if label not in known]
    if missing or not len(classes):
        raise ValueError(
            f"classes={shorten(list(classes))} must be some of the labels in y, "
            f"{shorten(list(known))}."
        )
    return {label: known[label] for label in classes}


def shrunk(image: np.ndarray) -> np.ndarray:
    """The image without an axis of one channel, and no larger than a cell can show."""
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    factor = _LARGEST_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def between_0_and_1(image: np.ndarray, scale: PixelRange | None) -> np.ndarray:
    if image.dtype == np.uint8 or scale is None:
        return image / np.float32(255)
    return scale.unit(image)


def draw_image(axis: Any, image: np.ndarray, center: tuple[float, float], cmap: Any) -> Any:
    height, width = (0.5 * _IMAGE_SIDE * side / max(image.shape[:2]) for side in image.shape[:2])
    x, y = center
    extent = (x - width, x + width, y + height, y - height)
    return axis.imshow(image, extent=extent, cmap=cmap, vmin=0, vmax=1)
