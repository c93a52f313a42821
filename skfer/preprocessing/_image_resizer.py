"""`ImageResizer`: images of any size and colour to one dense array."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import cv2
import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import Tags
from sklearn.utils._param_validation import Interval, StrOptions

from skfer._base import ImageEstimator, ImagesOut
from skfer._dense_images import for_each_image, new_images, put, refuse_other_dtype
from skfer._images import with_channels
from skfer._pixel_range import PixelRange
from skfer.preprocessing._size_and_color import to_gray, to_rgb, two_lengths

_CLAHE_CLIP_LIMIT = 2.0
_CLAHE_TILES = (8, 8)


class _Resizer(ImagesOut, ImageEstimator):
    """Size and equalisation; a subclass says which colour comes out."""

    _parameter_constraints = {
        "size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "equalize": [StrOptions({"none", "histogram", "clahe"}), None],
        "n_jobs": [Integral, None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> _Resizer:
        """Check the parameters and the form of `X`; there is nothing to learn.

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
            If `X` is no batch of images, or a parameter is out of range.
        """
        self._images(X, reset=True)
        self._height_and_width()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Convert, resize and equalise every image.

        Parameters
        ----------
        X : batch of n images

        Returns
        -------
        ndarray of shape (n, height, width, channels)
            uint8 stays uint8; any other kind of number becomes float32. If it is larger than
            a sixteenth of scikit-learn's ``working_memory`` (64 MiB, unless `sklearn.set_config`
            says otherwise), it lies in a temporary file that is gone with it, instead of in
            memory.

        Raises
        ------
        ValueError
            If an image can't be read (its index and path are named), or if uint8 and float
            images stand in one batch.
        OSError
            If there is no room for the temporary file; its size is named.
        """
        self._validate_params()  # fit, which does it too, need not have been called
        images = self._images(X, reset=False)
        height, width = self._height_and_width()
        first = images[0]
        resized = self._prepare(first, (width, height))
        dense = new_images((len(images), *resized.shape), resized.dtype)
        put(resized, dense, 0)

        def fill(index: int) -> None:
            image = images[index]
            refuse_other_dtype(image, index, first)
            put(self._prepare(image, (width, height)), dense, index)

        for_each_image(fill, range(1, len(images)), self.n_jobs)
        return self._indexed(dense, X)

    def _prepare(self, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        image = to_gray(image) if self._color() == "gray" else to_rgb(image)
        if image.shape[1::-1] != size:
            shrinks = image.shape[0] > size[1] or image.shape[1] > size[0]
            method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
            image = cv2.resize(image, size, interpolation=method)
        if self.equalize not in (None, "none"):
            image = _equalized(image, self.equalize)
        return with_channels(image)

    def _color(self) -> str:
        raise NotImplementedError

    def _height_and_width(self) -> tuple[int, int]:
        return two_lengths(self.size, "size", "(height, width)")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


class ImageResizer(_Resizer):
    """Resize images to one size and colour, as a dense array.

    Parameters
    ----------
    size : int or (int, int), default=48
        Side of the square, or height and width, in pixels.
    color : {"gray", "rgb"}, default="gray"
        Channels of the result. RGB becomes gray with the weights of ITU-R BT.601; a gray
        image becomes RGB by repeating its channel.
    equalize : {"none", "histogram", "clahe"} or None, default="none"
        Spread the gray values of each image: over its whole histogram, or tile by tile with
        limited contrast (CLAHE). Colour images are equalised in their luminance. Float images
        are brought to 256 levels of their scale for it, and back; they are the same as uint8 if
        the scale is 0 to 1, -1 to 1 or 0 to 255, and stretched from their own minimum and maximum
        otherwise.
    n_jobs : int or None, default=None
        Threads that read and resize; None is 1, -1 one for each core.

    See Also
    --------
    GrayscaleResizer : The same with ``color="gray"``.

    References
    ----------
    Zuiderveld, K. (1994). Contrast limited adaptive histogram equalization. Graphics Gems IV.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.preprocessing import ImageResizer
    >>> photos = [np.zeros((60, 80, 3), np.uint8), np.zeros((90, 70), np.uint8)]
    >>> ImageResizer(size=48, color="rgb").fit_transform(photos).shape
    (2, 48, 48, 3)
    """

    _parameter_constraints = {
        **_Resizer._parameter_constraints,
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

    def _color(self) -> str:
        return self.color


class GrayscaleResizer(_Resizer):
    """Resize images to gray ones of one size, as a dense array.

    What networks made for FER2013 take: ``(n, 48, 48, 1)``.

    Parameters
    ----------
    size : int or (int, int), default=48
        Side of the square, or height and width, in pixels.
    equalize : {"none", "histogram", "clahe"} or None, default="none"
        Spread the gray values of each image; see `ImageResizer`.
    n_jobs : int or None, default=None
        Threads that read and resize; None is 1, -1 one for each core.

    See Also
    --------
    ImageResizer : Gray or RGB.

    Examples
    --------
    >>> import numpy as np
    >>> from skfer.preprocessing import GrayscaleResizer
    >>> GrayscaleResizer(48).fit_transform([np.zeros((60, 80, 3), np.uint8)]).shape
    (1, 48, 48, 1)
    """

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

    def _color(self) -> str:
        return "gray"


def _equalized(image: np.ndarray, method: str) -> np.ndarray:
    if image.dtype != np.uint8:
        scale = PixelRange.of(image)
        return scale.scaled(_equalized(scale.eight_bits(image), method)).astype(np.float32)
    if image.ndim == 3:
        ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        ycc[..., 0] = _equalized(ycc[..., 0], method)
        return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)
    if method == "histogram":
        return cv2.equalizeHist(image)
    return cv2.createCLAHE(_CLAHE_CLIP_LIMIT, _CLAHE_TILES).apply(image)
