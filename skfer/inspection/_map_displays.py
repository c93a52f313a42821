"""Plots of maps on their images: `MapDisplay` and one subclass for each kind of map."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.utils import check_consistent_length

from skfer._images._pixel_range import PixelRange
from skfer._utils import check_int, pyplot
from skfer.inspection._maps import grad_cam, saliency
from skfer.inspection._perturbation import occlusion_sensitivity
from skfer.inspection._plotting import Display

# Inches: a cell, which holds an image or a map. Fractions of a cell: image and text.
_CELL = 1.3
_IMAGE_SIDE, _TEXT_HEIGHT = 0.94, 0.2
# Quantile of the values that gets the strongest colour. A few larger values would leave the rest
# dark.
_TOP_QUANTILE = 0.99


class MapDisplay(Display):
    """Images and their maps.

    Other maps than those of the subclasses are drawn by ``MapDisplay(maps, images).plot()``.

    Parameters
    ----------
    maps : array-like of shape (n, H, W)
    images : array-like of shape (n, H, W) or (n, H, W, channels)
        uint8 or float.
    target : array-like of shape (n,), default=None
        The class of each map.
    proba : array-like of shape (n,), default=None
        Its probability.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    images_ : list of matplotlib AxesImage
        The images.
    maps_ : list of matplotlib AxesImage
        The maps.
    text_ : list of matplotlib Text
        Class and probability of each image; empty without `target`.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import MapDisplay
    >>> faces = make_faces(3, random_state=0)
    >>> display = MapDisplay(np.ones((3, 48, 48)), faces.images, target=faces.labels).plot()
    >>> [text.get_text() for text in display.text_] == faces.labels.tolist()
    True
    """

    _label = "weight"
    _signed = False  # negative values are drawn in another colour
    _common_scale = False  # all maps have the same colour scale

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
            Axes for the whole plot. None makes a new figure of suitable size.
        n_columns : int, default=6
            Number of images in a row.
        cmap : str or matplotlib Colormap, default=None
            Colours of the maps. None is "inferno", or "RdBu_r" for maps with negative values.
        alpha : float, default=0.85
            Opacity of the strongest colour, in [0, 1]. Weaker colours are more transparent.

        Returns
        -------
        MapDisplay

        Raises
        ------
        ValueError
            If maps and images do not match, or `n_columns` is less than 1.
        """
        check_int("n_columns", n_columns)
        maps, images = self._validate()
        self._signed = type(self)._signed or bool((maps < 0).any())
        columns = min(n_columns, len(maps))
        height = 2 + (_TEXT_HEIGHT if self.target is not None else 0.06)
        rows = math.ceil(len(maps) / columns)
        size = (_CELL * columns + (0.9 if self._common_scale else 0), _CELL * height * rows)
        self._set_axes(ax, size)
        self.images_: list[Any] = []
        self.maps_: list[Any] = []
        self.text_: list[Any] = []
        tops = self._top_values(maps)
        cmap = cmap or ("RdBu_r" if self._signed else "inferno")
        for number, (values, image) in enumerate(zip(maps, images, strict=True)):
            row, column = divmod(number, columns)
            self._draw(image, values, tops[number], (column, row * height), cmap, alpha)
        self.ax_.set(xlim=(0, columns), ylim=(height * rows, 0), aspect="equal")
        self.ax_.axis("off")
        if self._common_scale:
            bar = self.figure_.colorbar(self.maps_[0], ax=self.ax_, shrink=0.8, fraction=0.05)
            bar.set_label(self._label)
        return self

    def _validate(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the maps, and the images scaled to [0, 1]."""
        maps, images = np.asarray(self.maps, np.float32), np.asarray(self.images)
        if maps.ndim != 3 or images.shape[:3] != maps.shape or not len(maps):
            raise ValueError(
                f"maps has the shape {maps.shape} and images {images.shape}: they must be n maps "
                "(n, H, W) and n images (n, H, W) or (n, H, W, channels) of the same size."
            )
        check_consistent_length(maps, self.target, self.proba)
        if images.ndim == 4 and images.shape[-1] == 1:
            images = images[..., 0]
        return maps, PixelRange.from_images(images).unit(images)

    def _top_values(self, maps: np.ndarray) -> np.ndarray:
        """Return the value of each map that gets the strongest colour."""
        strength = np.abs(maps) if self._signed else maps
        axes = None if self._common_scale else (1, 2)
        tops = np.quantile(strength, _TOP_QUANTILE, axis=axes)
        # Maps that are zero nearly everywhere have a quantile of zero.
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
        self.maps_.append(
            self.ax_.imshow(
                values,
                extent=boxes[1],
                cmap=cmap,
                vmin=-top if self._signed else 0,
                vmax=top,
                alpha=alpha * np.sqrt(np.clip(np.abs(values) / top, 0, 1)),
                interpolation="nearest",
            )
        )
        if self.target is not None:
            number = len(self.text_)
            text = str(np.asarray(self.target)[number])
            if self.proba is not None:
                text = f"{text} {np.asarray(self.proba)[number]:.2f}"
            middle = {"ha": "center", "va": "top", "fontsize": "small"}
            self.text_.append(self.ax_.text(x + 0.5, y + 1 + height + 0.03, text, **middle))


class _ComputedMapDisplay(MapDisplay):
    """Base of the displays that compute their maps."""

    _compute: Callable[..., Any]

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        ax: Any = None,
        n_columns: int = 6,
        cmap: Any = None,
        **options: Any,
    ) -> Self:
        """Compute the maps and draw them.

        Parameters
        ----------
        estimator : fitted estimator
        X : batch of n images
        ax, n_columns, cmap
            As in `plot`.
        **options : dict
            Other parameters of the function that computes the maps, such as `target`.

        Returns
        -------
        MapDisplay

        Raises
        ------
        ValueError, TypeError
            As by the function that computes the maps.
        """
        pyplot(f"{cls.__name__}.from_estimator")
        result = cls._compute(estimator, X, **options)
        return cls(**result).plot(ax, n_columns=n_columns, cmap=cmap)


class SaliencyDisplay(_ComputedMapDisplay):
    """Images and their saliency maps.

    `from_estimator` takes the parameters of `saliency`; ``SaliencyDisplay(**saliency(...)).plot()``
    draws a result. Each map has its own colour scale. Attributes are those of `MapDisplay`.

    Parameters
    ----------
    maps, images, target, proba
        As in `MapDisplay`.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import SaliencyDisplay
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> display = SaliencyDisplay.from_estimator(load_pretrained(), faces.images, smooth=5)
    >>> len(display.maps_)
    3
    """

    _label = "gradient"
    _compute = staticmethod(saliency)


class GradCAMDisplay(_ComputedMapDisplay):
    """Images and their Grad-CAM maps.

    `from_estimator` takes the parameters of `grad_cam`; ``GradCAMDisplay(**grad_cam(...)).plot()``
    draws a result. Each map has its own colour scale. Attributes are those of `MapDisplay`.

    Parameters
    ----------
    maps, images, target, proba
        As in `MapDisplay`.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import GradCAMDisplay
    >>> faces = make_faces(3, classes=["happy"], random_state=0)
    >>> display = GradCAMDisplay.from_estimator(load_pretrained(), faces.images)
    """

    _label = "activation"
    _compute = staticmethod(grad_cam)


class OcclusionDisplay(_ComputedMapDisplay):
    """Images and their occlusion maps.

    `from_estimator` takes the parameters of `occlusion_sensitivity`. All maps have the same scale:
    red where covering decreases the probability, blue where it increases it. Attributes are
    those of `MapDisplay`.

    Parameters
    ----------
    maps, images, target, proba
        As in `MapDisplay`.

    Examples
    --------
    >>> from skfer import load_pretrained
    >>> from skfer.datasets import make_faces
    >>> from skfer.inspection import OcclusionDisplay
    >>> faces = make_faces(2, classes=["happy"], random_state=0)
    >>> display = OcclusionDisplay.from_estimator(load_pretrained(), faces.images, patch_size=12)
    """

    _label = "decrease in probability"
    _signed = True
    _common_scale = True
    _compute = staticmethod(occlusion_sensitivity)
