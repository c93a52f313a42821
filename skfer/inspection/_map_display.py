"""`MapDisplay`: maps over the images they are of."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from skfer._pixel_range import PixelRange
from skfer.inspection._axes import axes_or_new

# Inches: a cell, in which an image or a map is drawn, and the line of text below.
_CELL = 1.3
_IMAGE_SIDE, _TEXT_HEIGHT = 0.94, 0.2
# A map is drawn up to this share of its values: few pixels above it would leave the rest dark.
_SHOWN = 0.99


class MapDisplay:
    """Images, and below each what a map says of it.

    It is recommended to use `SaliencyDisplay.from_estimator` and the like. Any other maps are
    drawn with ``MapDisplay(maps, images).plot()``. Parameters are stored as attributes.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)
    images : array-like of shape (n, H, W) or (n, H, W, channels)
        uint8 or float.
    target : array-like of shape (n,), default=None
        The class that each map is for.
    proba : array-like of shape (n,), default=None
        Its probability.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        For each image, itself.
    maps_ : list of matplotlib AxesImage
        For each image, its map.
    text_ : list of matplotlib Text
        Class and probability of each image; empty without `target`.

    See Also
    --------
    saliency, grad_cam, occlusion_sensitivity : Make maps.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import numpy as np
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import MapDisplay
    >>> faces = make_faces(3, random_state=0)
    >>> display = MapDisplay(np.ones((3, 48, 48)), faces.images, target=faces.labels).plot()
    >>> [text.get_text() for text in display.text_] == faces.labels.tolist()
    True
    >>> plt.close(display.figure_)
    """

    # What the maps hold, whether below zero means the contrary, and whether one number means the
    # same in all of them.
    _label = "weight"
    _signed = False
    _one_scale = False

    def __init__(self, maps: Any, images: Any, *, target: Any = None, proba: Any = None):
        self.maps = maps
        self.images = images
        self.target = target
        self.proba = proba

    def plot(
        self, ax: Any = None, *, n_columns: int = 6, cmap: Any = None, alpha: float = 0.85
    ) -> Self:
        """Draw the images and their maps.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Everything goes into it. None makes a new figure, as large as is needed.
        n_columns : int, default=6
            Images side by side.
        cmap : str or matplotlib Colormap, default=None
            Colours of the maps. None is "inferno", and "RdBu_r" where values below zero mean
            the contrary.
        alpha : float, default=0.85
            How much the strongest colour covers of the image, in [0, 1]. Weaker ones cover less.

        Returns
        -------
        MapDisplay

        Raises
        ------
        ValueError
            If maps and images don't belong together.
        """
        maps, images = self._checked()
        columns = min(n_columns, len(maps))
        height = 2 + (_TEXT_HEIGHT if self.target is not None else 0.06)
        rows = math.ceil(len(maps) / columns)
        size = (_CELL * columns + (0.9 if self._one_scale else 0), _CELL * height * rows)
        self.ax_ = axes_or_new(ax, f"{type(self).__name__}.plot", size)
        self.figure_ = self.ax_.figure
        self.images_: list[Any] = []
        self.maps_: list[Any] = []
        self.text_: list[Any] = []
        scales = self._scales(maps)
        cmap = cmap or ("RdBu_r" if self._signed else "inferno")
        for place, (values, image) in enumerate(zip(maps, images, strict=True)):
            row, column = divmod(place, columns)
            self._draw(image, values, scales[place], (column, row * height), cmap, alpha)
        self.ax_.set(xlim=(0, columns), ylim=(height * rows, 0), aspect="equal")
        self.ax_.axis("off")
        if self._one_scale:
            bar = self.figure_.colorbar(self.maps_[0], ax=self.ax_, shrink=0.8, fraction=0.05)
            bar.set_label(self._label)
        return self

    def _checked(self) -> tuple[np.ndarray, np.ndarray]:
        """Maps, and images between 0 and 1."""
        maps, images = np.asarray(self.maps, np.float32), np.asarray(self.images)
        if maps.ndim != 3 or images.shape[:3] != maps.shape or not len(maps):
            raise ValueError(
                f"maps has the shape {maps.shape} and images {images.shape}: needed are n maps "
                "(n, H, W) and as many images (n, H, W) or (n, H, W, channels) of their size."
            )
        check_consistent_length(maps, self.target, self.proba)
        if images.ndim == 4 and images.shape[-1] == 1:
            images = images[..., 0]
        return maps, PixelRange.of(images).unit(images)

    def _scales(self, maps: np.ndarray) -> np.ndarray:
        """The value of each map that gets the strongest colour."""
        strength = np.abs(maps) if self._signed else maps
        axes = None if self._one_scale else (1, 2)
        tops = np.quantile(strength, _SHOWN, axis=axes)
        # A map that is even, or zero nearly everywhere, has no such value.
        tops = np.where(tops > 0, tops, np.maximum(strength.max(axis=axes), 1e-12))
        return np.broadcast_to(tops, len(maps))

    def _draw(
        self,
        image: np.ndarray,
        values: np.ndarray,
        top: float,
        corner: tuple[float, float],
        cmap: Any,
        alpha: float,
    ) -> None:
        height, width = (_IMAGE_SIDE * side / max(values.shape) for side in values.shape)
        x, y = corner
        boxes = [(x + 0.5 - width / 2, x + 0.5 + width / 2, y + k + height, y + k) for k in (0, 1)]
        gray = {"cmap": "gray", "vmin": 0, "vmax": 1}
        self.images_.append(self.ax_.imshow(image, extent=boxes[0], **gray))
        self.ax_.imshow(image, extent=boxes[1], **gray)
        strength = np.clip(np.abs(values) / top, 0, 1)
        self.maps_.append(
            self.ax_.imshow(
                values,
                extent=boxes[1],
                cmap=cmap,
                vmin=-top if self._signed else 0,
                vmax=top,
                alpha=alpha * np.sqrt(strength),
                interpolation="nearest",
            )
        )
        if self.target is not None:
            text = str(self.target[len(self.text_)])
            if self.proba is not None:
                text = f"{text} {self.proba[len(self.text_)]:.2f}"
            middle = {"ha": "center", "va": "top", "fontsize": "small"}
            self.text_.append(self.ax_.text(x + 0.5, y + 1 + height + 0.03, text, **middle))
