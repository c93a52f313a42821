"""`LeakDisplay`: test images beside what stands in training of them."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skfer._images import image_sequence
from skfer._pixel_range import PixelRange
from skfer.inspection._axes import axes_or_new, pyplot
from skfer.inspection._image_grid import between_0_and_1, draw_image, shrunk

_COLUMNS = 8
# Of a cell's width: two images above one another, and two lines of text below.
_PAIR_HEIGHT, _TEXT = 2.0, 0.42
_CELL = 1.05  # inches


class LeakDisplay:
    """A contact sheet of copies: test image above, training image below.

    It is recommended to use `from_audit`. Parameters are stored as attributes.

    Parameters
    ----------
    pairs : DataFrame
        Rows of the ``pairs`` of `skfer.evaluation.leak_audit`.
    test_images, train_images : sequence of ndarray of shape (H, W) or (H, W, 3)
        The two images of every row.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        Two for every pair.
    text_ : list of matplotlib Text
        Rows, kind and similarity of every pair.

    See Also
    --------
    skfer.evaluation.leak_audit : Finds the pairs.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skfer.datasets import make_faces
    >>> from skfer.evaluation import leak_audit
    >>> from skfer.inspection import LeakDisplay
    >>> images = make_faces(12, random_state=0).images
    >>> audit = leak_audit(images[:8], images[6:])
    >>> display = LeakDisplay.from_audit(audit, images[:8], images[6:])
    >>> print(display.text_[0].get_text())
    0 = 6
    copy 1.00
    >>> plt.close(display.figure_)
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
        """Draw some of the pairs of an audit, those least alike last.

        Parameters
        ----------
        audit : Bunch
            As `skfer.evaluation.leak_audit` returns it.
        X_train, X_test : batch of n_train and of n_test images
            As they were audited. Only the images shown are read.
        kind : {"copy", "near copy", "mirrored copy"}, default=None
            Which pairs; None is all of them.
        n_pairs : int, default=16
            Drawn by lot, if there are more.
        random_state : int, RandomState instance or None, default=None
        ax : matplotlib Axes, default=None
            As for `plot`.

        Returns
        -------
        LeakDisplay

        Raises
        ------
        ValueError
            If there are no such pairs.
        """
        pyplot(f"{cls.__name__}.from_audit")
        if not isinstance(n_pairs, Integral) or n_pairs < 1:
            raise ValueError(f"n_pairs={n_pairs!r} must be an int of at least 1.")
        pairs = audit.pairs if kind is None else audit.pairs[audit.pairs["kind"] == kind]
        if not len(pairs):
            found = audit.pairs["kind"].value_counts().to_dict()
            raise ValueError(f"kind={kind!r}: the audit found no such pairs, but {found}.")
        rng = check_random_state(random_state)
        # Sorted, so that pairs that are alike keep the order of the audit.
        drawn = np.sort(rng.choice(len(pairs), min(n_pairs, len(pairs)), replace=False))
        pairs = pairs.iloc[drawn].sort_values("similarity", ascending=False, kind="stable")
        train, test = image_sequence(X_train), image_sequence(X_test)
        display = cls(
            pairs,
            test_images=[shrunk(test[row]) for row in pairs["test"]],
            train_images=[shrunk(train[row]) for row in pairs["train"]],
        )
        return display.plot(ax)

    def plot(self, ax: Any = None) -> LeakDisplay:
        """Draw the sheet.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The whole sheet goes into it. None makes a new figure, as large as it needs.

        Returns
        -------
        LeakDisplay

        Raises
        ------
        ValueError
            If there are no pairs.
        """
        if not len(self.pairs):
            raise ValueError("pairs is empty: there is nothing to draw.")
        columns = min(_COLUMNS, len(self.pairs))
        rows = -(-len(self.pairs) // columns)
        height = rows * (_PAIR_HEIGHT + _TEXT)
        self.ax_ = axes_or_new(
            ax, f"{type(self).__name__}.plot", (_CELL * max(columns, 2), _CELL * height)
        )
        self.figure_ = self.ax_.figure
        self.images_, self.text_ = [], []
        every = zip(self.pairs.to_dict("records"), self.test_images, self.train_images, strict=True)
        for place, (pair, *images) in enumerate(every):
            row, column = divmod(place, columns)
            top = row * (_PAIR_HEIGHT + _TEXT)
            for below, image in enumerate(images):
                center = (column + 0.5, top + below + 0.5)
                scale = None if image.dtype == np.uint8 else PixelRange.of(image)
                shown = between_0_and_1(image, scale)
                self.images_.append(draw_image(self.ax_, shown, center, "gray"))
            self.text_.append(
                self.ax_.text(
                    column + 0.5,
                    top + _PAIR_HEIGHT,
                    f"{pair['test']} = {pair['train']}\n{pair['kind']} {pair['similarity']:.2f}",
                    fontsize=6.5,
                    horizontalalignment="center",
                    verticalalignment="top",
                )
            )
        self.ax_.set(xticks=[], yticks=[], xlim=(0, columns), ylim=(height, 0), aspect="equal")
        self.ax_.spines[:].set_visible(False)
        return self
