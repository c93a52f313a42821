"""Contact sheets of images: samples of classes, doubtful labels and leaked images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from sklearn.utils import check_consistent_length, check_random_state, column_or_1d

from skfer._base import as_images
from skfer._images._pixel_range import PixelRange
from skfer._labels import label_array
from skfer._utils import check_int, pyplot, shorten
from skfer.inspection._plotting import Display

# A cell is about an inch wide: more pixels than this would only take memory.
_MAX_SIDE = 256
# Inches: a cell, and the margin for the names of the classes.
_CELL, _MARGIN = 1.05, 1.0
# Fractions of a cell: an image, the text below it, and the two lines of text below a pair.
_IMAGE_SIDE, _TEXT_HEIGHT, _PAIR_TEXT_HEIGHT = 0.92, 0.2, 0.42
_PAIR_COLUMNS = 8
# Upper bound of the width of bold letters, in font sizes.
_LETTER_WIDTH = 0.68
_FONT_SIZES = (6.5, 9.0)
_RIGHT, _WRONG = "#009e73", "#d55e00"


class ImageGridDisplay(Display):
    r"""Sample images of each class, one row for each class.

    Parameters
    ----------
    images : list of lists of ndarray of shape (H, W) or (H, W, 3)
        The images of each row, uint8 or float32.
    classes : sequence of n_classes labels
        The class of each row.
    counts : sequence of n_classes int, default=None
        Number of images of each class in the whole data set.
    y_pred : list of lists of labels, default=None
        The predicted label of each image.
    indices : list of ndarray of int, shape (n_shown,), default=None
        Row numbers of the images in the data.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        Row by row.
    text_ : list of matplotlib Text
        Predicted labels in the same order; empty without `y_pred`.

    Raises
    ------
    ValueError
        If there are no images, an image can't be read, lengths differ, or a class is unknown.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import ImageGridDisplay
    >>> faces = make_faces(20, classes=["happy", "sad"], random_state=0)
    >>> display = ImageGridDisplay.from_data(faces.images, faces.labels, n_images=3)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['happy\nn = 10', 'sad\nn = 10']
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
        """Plot a random sample of images of each class.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes, of any sizes. Only the images shown are read.
        y : array-like of shape (n,)
        y_pred : array-like of shape (n,), default=None
            Predicted labels, written below the images. Wrong ones get a cross and a thick frame.
        n_images : int, default=5
            Number of images for each class; a smaller class shows all its images.
        classes : sequence of labels, default=None
            The classes to show, in this order; None is all of `y`, sorted.
        random_state : int, RandomState instance or None, default=None
            Seed of the sample.
        ax, cmap
            As in `plot`.

        Returns
        -------
        ImageGridDisplay
        """
        pyplot(f"{cls.__name__}.from_data")
        check_int("n_images", n_images)
        batch = as_images(X)
        y = label_array(y)
        check_consistent_length(batch, y, y_pred)
        known, n_known = (part.tolist() for part in np.unique(y, return_counts=True))
        counts = dict(zip(known, n_known, strict=True))
        shown = _known_classes(classes, known, "the labels in y")
        rng = check_random_state(random_state)
        rows = [
            rng.choice(np.flatnonzero(y == label), min(n_images, counts[label]), replace=False)
            for label in shown
        ]
        display = cls(
            [[_reduced(batch[index]) for index in row] for row in rows],
            classes=shown,
            counts=[counts[label] for label in shown],
            y_pred=None if y_pred is None else [column_or_1d(y_pred)[row].tolist() for row in rows],
            indices=rows,
        )
        return display.plot(ax, cmap=cmap)

    def plot(self, ax: Any = None, *, cmap: Any = "gray") -> ImageGridDisplay:
        """Draw the grid.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes for the whole grid. None makes a new figure of suitable size.
        cmap : str or matplotlib Colormap, default="gray"
            Colours of gray images. The range is 0 to 255 for uint8, and the scale of the pixels
            for floats.

        Returns
        -------
        ImageGridDisplay
        """
        n_columns = max(map(len, self.images), default=0)
        if n_columns == 0:
            raise ValueError("images is empty: at least 1 image is needed.")
        row_height = 1 + (0 if self.y_pred is None else _TEXT_HEIGHT)
        grid = (n_columns, row_height * len(self.images))
        size = (_MARGIN + _CELL * grid[0], _CELL * grid[1])
        self._set_axes(ax, size)
        self.images_: list[Any] = []
        self.text_: list[Any] = []
        floats = [image.ravel() for row in self.images for image in row if image.dtype != np.uint8]
        scale = PixelRange.from_images(np.concatenate(floats)) if floats else None
        for row, images in enumerate(self.images):
            for column, image in enumerate(images):
                center = (column + 0.5, row * row_height + 0.5)
                self.images_.append(_draw_image(self.ax_, image, scale, center, cmap))
                if self.y_pred is not None:
                    self._draw_prediction(self.y_pred[row][column], self.classes[row])
        self._label_axes(row_height, grid)
        return self

    def _draw_prediction(self, predicted: Any, label: Any) -> None:
        """Write a predicted label; a cross and a thick frame mark errors without colour."""
        correct = predicted == label
        color = _RIGHT if correct else _WRONG
        left, right, bottom, top = self.images_[-1].get_extent()
        self.ax_.plot(
            [left, right, right, left, left],
            [bottom, bottom, top, top, bottom],
            color=color,
            linewidth=1 if correct else 3,
        )
        self.text_.append(
            self.ax_.text(
                (left + right) / 2,
                bottom + 0.04,
                str(predicted) if correct else f"\N{MULTIPLICATION SIGN} {predicted}",
                color="black" if correct else color,
                weight="normal" if correct else "bold",
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
            _fit_text(text, cell)


class LabelReportDisplay(ImageGridDisplay):
    r"""The images with the most doubtful labels, one row for each given label.

    The suggested label is written below each image. Attributes are those of `ImageGridDisplay`.

    Parameters
    ----------
    images, classes
        As in `ImageGridDisplay`.
    counts : sequence of n_classes int, default=None
        Number of flagged images of each label.
    y_pred : list of lists of labels, default=None
        The suggested label of each image.
    indices
        As in `ImageGridDisplay`.

    Raises
    ------
    ValueError
        If no label is flagged, one in `classes` isn't, or `X` does not match the report.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import label_report
    >>> from skfer.inspection import LabelReportDisplay
    >>> images = make_faces(5, random_state=0).images
    >>> proba = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
    >>> report = label_report(["happy", "happy", "sad", "sad", "sad"], proba)
    >>> display = LabelReportDisplay.from_report(report, images)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['sad\nn = 1']
    >>> display.y_pred, [rows.tolist() for rows in display.indices]
    ([['happy']], [[4]])
    """

    @classmethod
    def from_report(
        cls,
        report: Any,
        X: Any,
        *,
        n_images: int = 8,
        classes: Sequence[Any] | None = None,
        ax: Any = None,
        cmap: Any = "gray",
    ) -> LabelReportDisplay:
        """Plot the most doubtful images of each label, in descending order of doubt.

        Parameters
        ----------
        report : DataFrame
            Result of `skfer.evaluation.label_report`.
        X : batch of n images
            The images of the report. Only the images shown are read.
        n_images : int, default=8
            Number of images for each label; a label with fewer flagged images shows all.
        classes : sequence of labels, default=None
            The labels to show, in this order; None is all with flagged images, sorted.
        ax, cmap
            As in `plot`.

        Returns
        -------
        LabelReportDisplay
        """
        pyplot(f"{cls.__name__}.from_report")
        check_int("n_images", n_images)
        batch = as_images(X)
        if len(report) and report["row"].max() >= len(batch):
            raise ValueError(
                f"X holds {len(batch)} images, but the report names row {report['row'].max()}: "
                "give the images that the report was computed on."
            )
        flagged = report[report["issue"]].sort_values("rank")
        counts = flagged["given"].value_counts().to_dict()
        if not counts:
            raise ValueError("The report flags no label: there is nothing to show.")
        shown = _known_classes(classes, sorted(counts), "the labels with flags")
        worst = [flagged[flagged["given"] == label].head(n_images) for label in shown]
        display = cls(
            [[_reduced(batch[index]) for index in rows["row"]] for rows in worst],
            classes=shown,
            counts=[counts[label] for label in shown],
            y_pred=[rows["suggested"].tolist() for rows in worst],
            indices=[rows["row"].to_numpy() for rows in worst],
        )
        display.plot(ax, cmap=cmap)
        return display


class LeakDisplay(Display):
    """Pairs of leaked images: the test image above the training image.

    Parameters
    ----------
    pairs : DataFrame
        Rows of the ``pairs`` of `skfer.evaluation.leak_audit`.
    test_images, train_images : sequence of ndarray of shape (H, W) or (H, W, 3)
        The two images of each row.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        Two for each pair.
    text_ : list of matplotlib Text
        Row numbers, kind and similarity of each pair.

    Raises
    ------
    ValueError
        If there are no such pairs.

    Examples
    --------
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import leak_audit
    >>> from skfer.inspection import LeakDisplay
    >>> images = make_faces(12, random_state=0).images
    >>> audit = leak_audit(images[:8], images[6:])
    >>> display = LeakDisplay.from_audit(audit, images[:8], images[6:])
    >>> print(display.text_[0].get_text())
    0 = 6
    copy 1.00
    """

    def __init__(
        self, pairs: Any, *, test_images: Sequence[np.ndarray], train_images: Sequence[np.ndarray]
    ):
        self.pairs = pairs
        self.test_images = test_images
        self.train_images = train_images

    @classmethod
    def from_audit(
        cls,
        audit: Any,
        X_train: Any,
        X_test: Any,
        *,
        kind: str | None = None,
        n_pairs: int = 16,
        random_state: int | np.random.RandomState | None = None,
        ax: Any = None,
    ) -> LeakDisplay:
        """Plot a random sample of the pairs of an audit, in descending order of similarity.

        Parameters
        ----------
        audit : Bunch
            Result of `skfer.evaluation.leak_audit`.
        X_train, X_test : batch of n_train and of n_test images
            The images of the audit. Only the images shown are read.
        kind : {"copy", "near copy", "mirrored copy"}, default=None
            Kind of the pairs; None is all kinds.
        n_pairs : int, default=16
            Size of the sample.
        random_state : int, RandomState instance or None, default=None
            Seed of the sample.
        ax
            As in `plot`.

        Returns
        -------
        LeakDisplay
        """
        pyplot(f"{cls.__name__}.from_audit")
        check_int("n_pairs", n_pairs)
        pairs = audit.pairs if kind is None else audit.pairs[audit.pairs["kind"] == kind]
        if not len(pairs):
            found = audit.pairs["kind"].value_counts().to_dict()
            raise ValueError(f"kind={kind!r}: the audit found no such pairs, but {found}.")
        rng = check_random_state(random_state)
        # Sorted, so that pairs of equal similarity keep the order of the audit.
        sample = np.sort(rng.choice(len(pairs), min(n_pairs, len(pairs)), replace=False))
        pairs = pairs.iloc[sample].sort_values("similarity", ascending=False, kind="stable")
        train, test = as_images(X_train), as_images(X_test)
        display = cls(
            pairs,
            test_images=[_reduced(test[row]) for row in pairs["test"]],
            train_images=[_reduced(train[row]) for row in pairs["train"]],
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> LeakDisplay:
        """Draw the pairs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes for all pairs. None makes a new figure of suitable size.

        Returns
        -------
        LeakDisplay
        """
        if not len(self.pairs):
            raise ValueError("pairs is empty: there is nothing to draw.")
        columns = min(_PAIR_COLUMNS, len(self.pairs))
        pair_height = 2 + _PAIR_TEXT_HEIGHT
        height = -(-len(self.pairs) // columns) * pair_height
        size = (_CELL * max(columns, 2), _CELL * height)
        self._set_axes(ax, size)
        self.images_, self.text_ = [], []
        rows = zip(self.pairs.to_dict("records"), self.test_images, self.train_images, strict=True)
        for number, (pair, *images) in enumerate(rows):
            row, column = divmod(number, columns)
            top = row * pair_height
            for below, image in enumerate(images):
                center = (column + 0.5, top + below + 0.5)
                scale = None if image.dtype == np.uint8 else PixelRange.from_images(image)
                self.images_.append(_draw_image(self.ax_, image, scale, center, "gray"))
            self.text_.append(
                self.ax_.text(
                    column + 0.5,
                    top + 2,
                    f"{pair['test']} = {pair['train']}\n{pair['kind']} {pair['similarity']:.2f}",
                    fontsize=6.5,
                    horizontalalignment="center",
                    verticalalignment="top",
                )
            )
        self.ax_.set(xticks=[], yticks=[], xlim=(0, columns), ylim=(height, 0), aspect="equal")
        self.ax_.spines[:].set_visible(False)
        return self


def _known_classes(classes: Sequence[Any] | None, known: list[Any], description: str) -> list[Any]:
    """Return the classes to show; None is all of them."""
    if classes is None:
        return known
    if not len(classes) or not set(classes) <= set(known):
        raise ValueError(
            f"classes={shorten(list(classes))} must be some of {description}, {shorten(known)}."
        )
    return list(dict.fromkeys(classes))


def _reduced(image: np.ndarray) -> np.ndarray:
    """Return an image without a channel axis of length 1, and no larger than a cell can show."""
    image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
    factor = _MAX_SIDE / max(image.shape[:2])
    if factor >= 1:
        return image
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)


def _draw_image(
    axis: Any, image: np.ndarray, scale: PixelRange | None, center: tuple[float, float], cmap: Any
) -> Any:
    """Draw an image into a cell; `scale` is the range of float images."""
    if image.dtype == np.uint8 or scale is None:
        pixels = image / np.float32(255)
    else:
        pixels = scale.unit(image)
    height, width = (0.5 * _IMAGE_SIDE * side / max(image.shape[:2]) for side in image.shape[:2])
    x, y = center
    extent = (x - width, x + width, y + height, y - height)
    return axis.imshow(pixels, extent=extent, cmap=cmap, vmin=0, vmax=1)


def _fit_text(text: Any, width: float) -> None:
    """Reduce the font of a text to a width in points, and cut the text if that is not enough."""
    letters = len(text.get_text())
    smallest, largest = _FONT_SIZES
    size = min(max(width / (_LETTER_WIDTH * letters), smallest), largest)
    max_letters = int(width / (_LETTER_WIDTH * size))
    text.set_fontsize(size)
    if letters > max_letters:
        text.set_text(f"{text.get_text()[: max(max_letters - 1, 1)]}\N{HORIZONTAL ELLIPSIS}")
