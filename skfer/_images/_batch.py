"""Reading of batches of images: arrays, lists, file paths, encoded bytes or flat rows.

The result is a sequence of ``(H, W)`` or ``(H, W, 3)`` arrays of uint8 or float32 in the same
order. Colour is RGB. Files, bytes and images of Pillow become uint8, upright.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import numbers
import os
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from skfer._images._decoding import decode, decode_pillow, describe_text, is_encoded
from skfer._images._limits import read_file
from skfer._images._pixel_range import PixelRange
from skfer._storage import iter_blocks
from skfer._utils import limit_opencv, shorten

# Flat rows up to this long are strips one pixel high; square rows from `SMALLEST_SQUARE`
# squared on are square images (Olivetti faces come as rows of 64 x 64).
LONGEST_STRIP = 32
SMALLEST_SQUARE = 32

# Suffixes of the image files that a folder is searched for, in every part of the package.
_ALWAYS_READABLE = (
    ".avif", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
# HEIC needs pillow-heif. Without it, the error of such a file says so.
HEIC_SUFFIXES = (".heic", ".heif")
IMAGE_SUFFIXES = tuple(sorted((*_ALWAYS_READABLE, *HEIC_SUFFIXES)))

_ENCODED = (bytes, bytearray, memoryview)
_SINGLE = (str, *_ENCODED, os.PathLike, Image.Image)
_WRAP = "Wrap a single image in a list: [image]."

limit_opencv()  # before the first image is decoded


def readable_suffixes() -> tuple[str, ...]:
    """Suffixes of the image files that this installation reads, lower case."""
    has_heif = importlib.util.find_spec("pillow_heif") is not None
    return IMAGE_SUFFIXES if has_heif else _ALWAYS_READABLE


class LazyImages:
    """Images that are read and decoded on access."""

    def __init__(self, items: Sequence[Any]):
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> np.ndarray:
        return read_image(self._items[index], index)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (read_image(item, index) for index, item in enumerate(self._items))

    def arrays(self) -> Iterator[Any]:
        """Return the images that are not files, bytes or Pillow images, which are uint8."""
        items = enumerate(self._items)
        return (read_image(x, index) for index, x in items if not isinstance(x, _SINGLE))

    def name(self, index: int) -> str:
        """Return the name of an image in errors: its index, and its path if it has one."""
        return _name(self._items[index], index)


class LazyImage:
    """Image of a batch that is computed on access, also by `np.asarray`."""

    __slots__ = ()

    def read(self) -> np.ndarray:
        """Return the image: uint8 or float32, finite, not empty."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        image = self.read()  # made for the caller: no copy of it is needed
        return image if dtype is None else image.astype(dtype, copy=False)

    def __reduce__(self) -> Any:
        return np.asarray, (self.read(),)  # the original may not exist where it is unpickled


# A dense array of four axes, or images read on access.
Images = np.ndarray | LazyImages


def image_sequence(X: Any) -> Images:
    """Return the images of a batch as a sequence."""
    if isinstance(X, _SINGLE):
        text = describe_text(X) if isinstance(X, str) else None
        if isinstance(X, str | os.PathLike) and os.path.isdir(X):
            text = (
                "a folder: skfer.recognition.image_files lists its images, and "
                "skfer.datasets.load_image_folder the images and labels of its subfolders"
            )
        raise ValueError(
            f"X is {_shown(X)}: {text}. Give a list of images."
            if text
            else f"X is one image ({_shown(X)}), where a batch is expected. {_WRAP}"
        )
    if not isinstance(X, Sequence) and hasattr(X, "__array__"):
        X = np.asarray(X)
    if hasattr(X, "read"):
        raise ValueError(f"X is an open file. Give a list of its bytes: [file.read()]. {_WRAP}")
    if not isinstance(X, Sequence | np.ndarray):
        # A generator could be read only once, a set has no order.
        raise ValueError(
            f"X is {_type_of(X)}, where a batch of images is expected: give a list of them."
        )
    if isinstance(X, np.ndarray) and X.ndim != 1:
        return _dense_batch(X)
    items = list(X)
    if not items:
        raise ValueError("X holds no images: at least 1 is required.")
    if isinstance(X, Sequence) and _is_nested(items):
        return _dense_batch(np.array(items))
    if isinstance(X, np.ndarray) and X.dtype == np.uint8 and is_encoded(X[:64].tobytes()):
        raise ValueError(f"X is the bytes of one image file: give [X.tobytes()]. {_WRAP}")
    if all(isinstance(item, numbers.Number | np.bool_) for item in items[:8]):
        raise ValueError(
            f"X is one-dimensional, with {len(items)} numbers, where a batch of images is "
            f"expected. Reshape your data to (n, height, width), or give a list of paths."
        )
    return LazyImages(items)


def _is_nested(items: list[Any]) -> bool:
    """Return whether a list is a batch of equal images as nested lists of numbers."""
    if not all(isinstance(item, list | tuple) for item in items):
        return False
    try:
        return np.array(items).ndim in (3, 4)
    except ValueError:  # images of differing sizes, which are read one by one
        return False


def _dense_batch(X: np.ndarray) -> np.ndarray:
    if X.ndim not in (3, 4):
        raise ValueError(
            f"X has shape {X.shape}; a batch of images is (n, height, width) or "
            f"(n, height, width, channels)."
        )
    if len(X) == 0:
        raise ValueError(f"X has shape {X.shape} and holds no images: at least 1 is required.")
    if X.ndim == 3 and X.shape[-1] in (1, 3, 4):
        what = "gray" if X.shape[-1] == 1 else "colour"
        raise ValueError(
            f"X has shape {X.shape}, which is one {what} image, where a batch is expected. {_WRAP}"
        )
    if X.ndim == 4 and X.shape[-1] not in (1, 3):
        raise ValueError(f"X has shape {X.shape}, {_wrong_channels(X.shape, 'X')}")
    if 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}: its images have no pixels.")
    if X.dtype == object:
        # np.array(images, dtype=object) takes images of one size apart, into Python's numbers.
        X = np.array(X.ravel().tolist()).reshape(X.shape)
    X = _uint8_or_float32(X, "X")
    _refuse_non_finite(X, "X")
    return X if X.ndim == 4 else X[..., np.newaxis]


def _wrong_channels(shape: tuple[int, ...], name: str) -> str:
    """Return what is wrong with the last axis of an image or a batch, and what to do about it."""
    first, last = shape[-3], shape[-1]
    if first in (1, 3, 4) and last > 4:
        order = "0, 2, 3, 1" if len(shape) == 4 else "1, 2, 0"
        rest = "" if first < 4 else " and drop the alpha channel with [..., :3]"
        return (
            f"with the channels first; they are expected last. Use {name}.transpose({order}){rest}."
        )
    problem = f"which is {last} channels; an image has 1 (gray) or 3 (RGB)."
    if last == 2:
        return f"{problem} Of gray and alpha, {name}[..., :1] keeps gray."
    if last == 4:
        return f"{problem} An alpha channel is dropped with {name}[..., :3]."
    return problem


def refuse_encoded(row: Any) -> None:
    """Refuse the bytes of an image file as an array, the first row of a table."""
    if getattr(row, "dtype", None) == np.uint8 and is_encoded(row[:64].tobytes()):
        raise ValueError(
            "X[0] is the bytes of an image file as an array: give a list of X[0].tobytes()."
        )


def rows_to_images(rows: np.ndarray) -> np.ndarray:
    """Return flat rows as images: squares, or strips one pixel high."""
    n, n_values = rows.shape
    refuse_encoded(rows[0])
    if rows.dtype == np.uint8:
        side = math.isqrt(n_values)
        shape = f"-1, {side}, {side}" if side * side == n_values else "-1, 48, 48"
        raise ValueError(
            f"X has shape {rows.shape} and dtype uint8: flat rows of pixels, or one gray image. "
            f"Rows become images with np.asarray(X).reshape({shape}). {_WRAP}"
        )
    rows = _uint8_or_float32(rows, "X")
    if n_values <= LONGEST_STRIP:
        return rows.reshape(n, 1, n_values, 1)
    side = math.isqrt(n_values)
    if side * side == n_values and side >= SMALLEST_SQUARE:
        return rows.reshape(n, side, side, 1)
    raise ValueError(
        f"X has rows of {n_values} values: a row must be a square image of at least "
        f"{SMALLEST_SQUARE} x {SMALLEST_SQUARE} pixels, or a strip of at most {LONGEST_STRIP} "
        f"values. Reshape X to (n, height, width). {_WRAP}"
    )


def image_name(images: Images, index: int) -> str:
    """Return the name of one image of a sequence in errors and warnings."""
    return images.name(index) if isinstance(images, LazyImages) else f"X[{index}]"


def add_channel_axis(image: np.ndarray) -> np.ndarray:
    """Return an image as ``(H, W, 1)`` or ``(H, W, 3)``."""
    return image if image.ndim == 3 else image[..., np.newaxis]


def to_gray(image: np.ndarray) -> np.ndarray:
    """Return an image as ``(H, W)``."""
    if image.ndim == 2:
        return image
    return image[..., 0] if image.shape[-1] == 1 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Return an image as ``(H, W, 3)``."""
    if image.ndim == 3 and image.shape[-1] == 3:
        return image
    return cv2.cvtColor(np.ascontiguousarray(add_channel_axis(image)), cv2.COLOR_GRAY2RGB)


def read_image(item: Any, index: int) -> np.ndarray:
    """Read one image of a batch, and validate it."""
    if isinstance(item, LazyImage):
        return item.read()
    where = _name(item, index)
    if isinstance(item, _ENCODED):
        return decode(bytes(item), where)
    if isinstance(item, Image.Image):
        return decode_pillow(item, where)
    if isinstance(item, str | os.PathLike):
        try:
            return decode(read_file(item, where), where)
        except ValueError as error:
            text = describe_text(item) if isinstance(item, str) else None
            if text is None or os.path.exists(item):
                raise
            raise ValueError(f"{where} is {text}.") from error
    if hasattr(item, "read"):
        raise ValueError(f"{where} is an open file: give its bytes, file.read(), or its path.")
    try:
        image = np.asarray(item)
    except ValueError as error:  # a list of images of differing sizes: a batch in the batch
        raise ValueError(f"{where} is {_type_of(item)}, not an image: {error}") from error
    if image.ndim == 3 and image.shape[-1] not in (1, 3) and 0 not in image.shape:
        problem = _wrong_channels(image.shape, "image")
        raise ValueError(f"{where} has shape {image.shape}, {problem}")
    if image.ndim not in (2, 3):
        what = f"has shape {image.shape}" if image.ndim else f"is {_type_of(item)}"
        raise ValueError(
            f"{where} {what}; an image is an array (height, width) or (height, width, 3), "
            "a path, the bytes of an image file, or an image of Pillow."
        )
    if 0 in image.shape:
        raise ValueError(f"{where} has shape {image.shape}: it has no pixels.")
    image = _uint8_or_float32(image, where)
    _refuse_non_finite(image, where)
    return image


def _uint8_or_float32(image: np.ndarray, where: str) -> np.ndarray:
    kind = image.dtype.kind
    if image.dtype == np.uint8 or image.dtype == np.float32:
        return image
    if kind == "b":
        return image.astype(np.uint8) * np.uint8(255)
    if kind in "iuf":
        return image.astype(np.float32)
    if kind == "c":
        raise ValueError(f"{where}: Complex data not supported, pixels are real numbers.")
    raise ValueError(f"{where} has dtype {image.dtype}; pixels are uint8 or floating point.")


def _refuse_non_finite(image: np.ndarray, where: str) -> None:
    if image.dtype.kind != "f":
        return
    checked = 0
    for part in iter_blocks(image):
        finite = np.isfinite(part)
        if not finite.all():
            if where == "X":
                axes = tuple(range(1, image.ndim))
                where = f"X[{checked + int(np.flatnonzero(~finite.all(axis=axes))[0])}]"
            raise ValueError(f"{where} holds NaN or infinity; pixels must be finite.")
        checked += len(part)


def _name(item: Any, index: int) -> str:
    path = f" ({shorten(os.fspath(item))})" if isinstance(item, str | os.PathLike) else ""
    return f"X[{index}]{path}"


def describe_image(image: np.ndarray) -> str:
    """Return the shape and dtype of an image for errors."""
    return f"{'x'.join(map(str, image.shape))} {image.dtype}"


def _type_of(item: Any) -> str:
    return "None" if item is None else f"of type {type(item).__name__}"


def _shown(item: Any) -> str:
    if isinstance(item, _ENCODED):
        return f"{len(item)} bytes"
    if isinstance(item, Image.Image):
        return f"of Pillow, {item.width} x {item.height}, mode {item.mode}"
    return shorten(os.fspath(item))


def content_keys(images: Images) -> list[bytes]:
    """Return a key of 16 bytes for each image: the hash of its 8-bit gray levels."""
    scale = float_scale(images)
    return [content_key(image, scale) for image in images]


def content_key(image: np.ndarray, scale: PixelRange) -> bytes:
    """Return the key of one image on a scale."""
    gray = gray_levels(image, scale)
    key = hashlib.blake2b(f"{gray.shape}".encode(), digest_size=16)
    key.update(np.ascontiguousarray(gray).data)
    return key.digest()


def gray_levels(image: np.ndarray, scale: PixelRange) -> np.ndarray:
    """Return an image as uint8 of shape (H, W), from floats on the given scale."""
    image = scale.to_uint8(image)
    if image.shape[2:] == (3,) and (image == image[..., :1]).all():  # a gray image in RGB
        return image[..., 0]
    return to_gray(image)


def float_scale(images: Images) -> PixelRange:
    """Return the common scale of the float images of a batch.

    The batch is judged as a whole, because the scale of a single dark image is unknown.
    """
    arrays = [images] if isinstance(images, np.ndarray) else images.arrays()
    low, high = 0.0, 0.0
    for array in map(np.asarray, arrays):
        if array.dtype != np.uint8 and array.size:
            low, high = min(low, float(array.min())), max(high, float(array.max()))
    dark = low >= 0.0 and 2.0 < high < 255.0
    return PixelRange(0.0, 255.0) if dark else PixelRange.from_images(np.array([low, high]))
