"""Many images as one dense array, in memory or in a temporary file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn import get_config

from skfer._images._batch import Images, kind_of, with_channels
from skfer._images._pixel_range import PixelRange
from skfer._storage import file_array, let_go

# Of scikit-learn's `working_memory`, which several steps of a Pipeline share with the network.
_SHARE = 1 / 16
# Images that a thread is given at once, where there are enough for all threads.
_MOST_AT_ONCE = 64


def memory_share() -> int:
    """Return the bytes of images that may be in memory, a share of `working_memory`."""
    return int(_SHARE * get_config()["working_memory"] * 2**20)


def new_images(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array in memory, or in a temporary file if it exceeds `memory_share`."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if n_bytes <= memory_share() else file_array(shape, dtype)


def dense_images(images: Images) -> np.ndarray:
    """Return all images of a sequence as one array ``(n, height, width, channels)``."""
    if isinstance(images, np.ndarray):
        return images
    first = with_channels(images[0])
    dense = new_images((len(images), *first.shape), first.dtype)
    for index, image in enumerate(images):
        image = with_channels(image)
        refuse_other_dtype(image, index, first)
        if image.shape != first.shape:
            raise ValueError(
                f"The images differ: X[0] is {kind_of(first)} and X[{index}] is {kind_of(image)}. "
                "Put an ImageResizer or GrayscaleResizer before this step of the Pipeline."
            )
        put(image, dense, index)
    return dense


def refuse_other_dtype(image: np.ndarray, index: int, first: np.ndarray) -> None:
    """Raise `ValueError` if one image is uint8 and the first of the batch floating point."""
    if image.dtype == first.dtype:
        return
    floats, place = (image, index) if first.dtype == np.uint8 else (first, 0)
    way = PixelRange.of(floats).to_uint8()
    what = f"X[{place}]"
    raise ValueError(
        f"X[0] is {first.dtype} and X[{index}] is {image.dtype}: the images of one batch are all "
        "uint8 or all floating point. "
        + (
            f"{what} becomes uint8 by {way.replace('X', what)}."
            if way
            else f"Bring {what}, with values from {floats.min():g} to {floats.max():g}, to "
            "0 to 255 and make it uint8."
        )
    )


def put(image: np.ndarray, dense: np.ndarray, index: int) -> None:
    """Set one image of an array; pages of a file are released regularly."""
    dense[index] = image
    if index % _MOST_AT_ONCE == 0:
        let_go(dense)


def for_each_image(
    function: Callable[[int], Any], places: range, n_jobs: int | None, verbose: int = 0
) -> list[Any]:
    """Call a function with the index of each image, in threads.

    Threads, whatever backend is set: OpenCV leaves the interpreter to others while it works, and
    processes could not fill one array.
    """
    at_once = len(places) // (8 * effective_n_jobs(n_jobs))
    parallel = Parallel(
        n_jobs=n_jobs,
        require="sharedmem",
        batch_size=min(max(at_once, 1), _MOST_AT_ONCE),
        verbose=verbose,
    )
    return parallel(delayed(function)(index) for index in places)
