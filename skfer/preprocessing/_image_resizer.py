"""Resizers: images of any size and colour to one dense array."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from skfer._base import ImageEstimator, ImageTransformerMixin
from skfer._images._batch import add_channel_axis, to_gray, to_rgb
from skfer._images._dense import check_same_dtype, empty_images, for_each_image, set_image
from skfer._images._pixel_range import PixelRange
from skfer._utils import shorten

_CLAHE_CLIP_LIMIT = 2.0
_CLAHE_TILES = (8, 8)
# An image is dark if less than this share of its pixels reach half of the range. The limit on the
# gain keeps the noise of nearly black images low.
BRIGHT_SHARE, DARK_BELOW = 0.01, 128.0
MAX_GAIN = 10.0


def validate_size(value: Any, name: str, axes: str = "(vertical, horizontal)") -> tuple[int, int]:
    """Return a parameter that is one length or a pair of lengths as a pair."""
    lengths = (value, value) if isinstance(value, Integral) else tuple(value)
    if len(lengths) != 2 or not all(
        isinstance(length, Integral) and not isinstance(length, bool) and int(length) > 0
        for length in lengths
    ):
        raise ValueError(
            f"{name} must be a positive int or a pair of them, {axes}; got {shorten(value)}."
        )
    return int(lengths[0]), int(lengths[1])


class _BaseResizer(ImageTransformerMixin, ImageEstimator):
    """Base of the resizers; a subclass has the attribute or property `color`."""

    size: int | tuple[int, int]
    color: str
    equalize: str | None
    n_jobs: int | None

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "equalize": [StrOptions({"none", "brighten", "histogram", "clahe"}), None],
        "n_jobs": [Integral, None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> _BaseResizer:
        """Validate the parameters and the type of `X`. Nothing is learned.

        Parameters
        ----------
        X : batch of n images
            Arrays, paths or bytes. Paths are not read.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `X` is not a batch of images, or a parameter is out of range.
        """
        self._images(X, reset=True)
        validate_size(self.size, "size", "(height, width)")
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Convert, resize and equalise every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, height, width, channels)
            uint8 and bool give uint8, other dtypes float32. An array above a sixteenth of
            scikit-learn's ``working_memory`` (64 MiB by default, see `sklearn.set_config`) is
            stored in a temporary file that is deleted with the array.

        Raises
        ------
        ValueError
            If an image can't be read (the message names its index and path), or if the batch
            mixes uint8 and float images.
        OSError
            If there is no space for the temporary file; the message names its size.
        """
        self._validate_params()  # transform works without fit
        images = self._images(X, reset=False)
        height, width = validate_size(self.size, "size", "(height, width)")
        first = images[0]
        resized = self._resize(first, (width, height))
        dense = empty_images((len(images), *resized.shape), resized.dtype)
        set_image(resized, dense, 0)

        def fill(index: int) -> None:
            image = images[index]
            check_same_dtype(image, index, first)
            set_image(self._resize(image, (width, height)), dense, index)

        for_each_image(fill, range(1, len(images)), self.n_jobs)
        return self._indexed(dense, X)

    def _resize(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return an image ``(height, width, channels)`` for a size (width, height)."""
        image = to_gray(image) if self.color == "gray" else to_rgb(image)
        if image.shape[1::-1] != size:
            shrinks = image.shape[0] > size[1] or image.shape[1] > size[0]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, size, interpolation=method)
        if self.equalize not in (None, "none"):
            image = _equalize(image, self.equalize)
        return add_channel_axis(image)


class ImageResizer(_BaseResizer):
    """Resize images to one size and colour, as a dense array.

    Parameters
    ----------
    size : int or (int, int), default=48
        Side of the square, or height and width, in pixels.
    color : {"gray", "rgb"}, default="gray"
        Channels of the result. RGB is converted to gray with the weights of ITU-R BT.601, gray
        to RGB by repeating the channel.
    equalize : {"none", "brighten", "histogram", "clahe"} or None, default="none"
        Change the gray values of each image. "brighten" multiplies the values of a dark image by a
        factor of up to 10, so that 1 % of its pixels reach half of the range; other images are
        unchanged. "histogram" equalises the whole histogram, "clahe" those of tiles with limited
        contrast [1]_. The histograms of colour images are those of their luminance. Float images
        are converted to 256 levels and back, from the scales 0 to 1, -1 to 1 and 0 to 255; other
        float images are stretched from their minimum and maximum.
    n_jobs : int or None, default=None
        Number of threads that read and resize. None means 1, -1 one for each core.

    References
    ----------
    .. [1] Zuiderveld, K. (1994). Contrast limited adaptive histogram equalization. Graphics Gems
       IV.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.preprocessing import ImageResizer
    >>> photos = [np.zeros((60, 80, 3), np.uint8), np.zeros((90, 70), np.uint8)]
    >>> ImageResizer(size=48, color="rgb").fit_transform(photos).shape
    (2, 48, 48, 3)
    """

    _parameter_constraints = {
        **_BaseResizer._parameter_constraints,
        "color": [StrOptions({"gray", "rgb"})],
    }

    def __init__(
        self,
        size: int | tuple[int, int] = 48,
        *,
        color: str = "gray",
        equalize: str | None = "none",
        n_jobs: int | None = None,
    ):
        self.size = size
        self.color = color
        self.equalize = equalize
        self.n_jobs = n_jobs


class GrayscaleResizer(_BaseResizer):
    """Resize images to gray images of one size, as a dense array.

    The default is the input of networks for FER2013: ``(n, 48, 48, 1)``.

    Parameters
    ----------
    size : int or (int, int), default=48
        Side of the square, or height and width, in pixels.
    equalize : {"none", "brighten", "histogram", "clahe"} or None, default="none"
        Change the gray values of each image; see `ImageResizer`.
    n_jobs : int or None, default=None
        Number of threads that read and resize. None means 1, -1 one for each core.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.preprocessing import GrayscaleResizer
    >>> GrayscaleResizer(48).fit_transform([np.zeros((60, 80, 3), np.uint8)]).shape
    (1, 48, 48, 1)
    """

    color = "gray"

    def __init__(
        self,
        size: int | tuple[int, int] = 48,
        *,
        equalize: str | None = "none",
        n_jobs: int | None = None,
    ):
        self.size = size
        self.equalize = equalize
        self.n_jobs = n_jobs


def _equalize(image: np.ndarray, method: str) -> np.ndarray:
    """Return an image with changed gray values or luminance."""
    if image.dtype != np.uint8:
        scale = PixelRange.from_images(image)
        levels = scale.to_uint8(image)
        changed = _equalize(levels, method)
        return image if changed is levels else scale.scaled(changed).astype(np.float32)
    if method == "brighten":
        return _brighten(image)
    if image.ndim == 3:
        ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        ycc[..., 0] = _equalize(ycc[..., 0], method)
        return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    if method == "histogram":
        return cv2.equalizeHist(image)
    return cv2.createCLAHE(_CLAHE_CLIP_LIMIT, _CLAHE_TILES).apply(image)


def _brighten(image: np.ndarray) -> np.ndarray:
    """Return a brighter copy of a dark uint8 image, and other images as they are."""
    values = to_gray(image).ravel()
    n_bright = max(1, round(BRIGHT_SHARE * len(values)))
    bright = float(np.partition(values, -n_bright)[-n_bright])
    if bright >= DARK_BELOW:
        return image
    gain = min(DARK_BELOW / max(bright, 1.0), MAX_GAIN)
    return np.minimum(np.rint(image * gain), 255).astype(np.uint8)
