"""Many images as one dense array, in memory or in a temporary file."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn import get_config

from skfer._images._batch import Images, add_channel_axis, describe_image
from skfer._images._pixel_range import PixelRange
from skfer._storage import file_array, release_pages

# Share of scikit-learn's `working_memory` for the images of one step: other steps and the network
# need memory at the same time.
_SHARE = 1 / 16
# Maximum number of images that a thread gets at once.
_MAX_BATCH = 64


def memory_share() -> int:
    """Return the bytes of images that may be in memory, a share of `working_memory`."""
    return int(_SHARE * get_config()["working_memory"] * 2**20)


def empty_images(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an empty array in memory, or in a temporary file if it exceeds `memory_share`."""
    n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if n_bytes <= memory_share() else file_array(shape, dtype)


def dense_images(images: Images) -> np.ndarray:
    """Return all images of a sequence as one array ``(n, height, width, channels)``."""
    if isinstance(images, np.ndarray):
        return images
    first = add_channel_axis(images[0])
    dense = empty_images((len(images), *first.shape), first.dtype)
    for index, image in enumerate(images):
        image = add_channel_axis(image)
        check_same_dtype(image, index, first)
        if image.shape != first.shape:
            raise ValueError(
                f"The images differ: X[0] is {describe_image(first)} and X[{index}] is "
                f"{describe_image(image)}. Put an ImageResizer or GrayscaleResizer before this "
                "step of the Pipeline."
            )
        set_image(image, dense, index)
    return dense


def check_same_dtype(image: np.ndarray, index: int, first: np.ndarray) -> None:
    """Raise `ValueError` if one image is uint8 and the first of the batch floating point."""
    if image.dtype == first.dtype:
        return
    floats, name = (image, f"X[{index}]") if first.dtype == np.uint8 else (first, "X[0]")
    expression = PixelRange.from_images(floats).uint8_expression()
    raise ValueError(
        f"X[0] is {first.dtype} and X[{index}] is {image.dtype}: the images of one batch are all "
        "uint8 or all floating point. "
        + (
            f"{name} becomes uint8 by {expression.replace('X', name)}."
            if expression
            else f"Scale {name}, with values from {floats.min():g} to {floats.max():g}, to "
            "0 to 255 and convert it to uint8."
        )
    )


def set_image(image: np.ndarray, dense: np.ndarray, index: int) -> None:
    """Set one image of an array; pages of a file are released regularly."""
    dense[index] = image
    if index % _MAX_BATCH == 0:
        release_pages(dense)


def for_each_image(
    function: Callable[[int], Any], indices: range, n_jobs: int | None, verbose: int = 0
) -> list[Any]:
    """Call a function with each index in threads, as OpenCV releases the interpreter lock.

    After an error, the calls that run are completed and no further ones start. A thread that is
    inside OpenCV when the interpreter ends would abort the process.
    """
    batch_size = min(max(len(indices) // (8 * effective_n_jobs(n_jobs)), 1), _MAX_BATCH)
    if len(indices) < 2:
        return [function(index) for index in indices]
    parallel = Parallel(n_jobs, require="sharedmem", batch_size=batch_size, verbose=verbose)
    calls = _Calls(function)
    try:
        return parallel(delayed(calls)(index) for index in indices)
    except BaseException:
        calls.stop()
        raise


class _Calls:
    """A function that several threads call until it is stopped."""

    def __init__(self, function: Callable[[int], Any]):
        self._function = function
        self._changed = threading.Condition()
        self._n_running = 0
        self._stopped = False

    def __call__(self, index: int) -> Any:
        with self._changed:
            if self._stopped:
                return None
            self._n_running += 1
        try:
            return self._function(index)
        finally:
            with self._changed:
                self._n_running -= 1
                self._changed.notify_all()

    def stop(self) -> None:
        """Start no further calls, and wait for those that run."""
        with self._changed:
            self._stopped = True
            self._changed.wait_for(lambda: self._n_running == 0)
