"""Limits on an image file before it is decoded. The module imports no decoder."""

from __future__ import annotations

import os

from skfer._utils import open_regular, page, shorten

LIMIT_NAME = "SKFER_MAX_PIXELS"
# 450 MB in colour. Phones take photos of up to 108 million pixels, mostly 12.
MAX_PIXELS = 150_000_000
# Without compression: 16 bits in each of four channels.
_MAX_BYTES_PER_PIXEL = 8
_MIN_FILE_LIMIT = 50_000_000


def max_pixels() -> int:
    """Return the maximum number of pixels of an image, from ``SKFER_MAX_PIXELS`` if it is set."""
    given = os.environ.get(LIMIT_NAME)
    if not given:
        return MAX_PIXELS
    try:
        limit = int(given)
    except ValueError:
        limit = 0
    if limit < 1:
        raise ValueError(
            f"The environment variable {LIMIT_NAME} is {shorten(given)}; it has to be a whole "
            f"number of pixels above 0, such as {MAX_PIXELS}."
        )
    return limit


def read_file(path: str | os.PathLike, where: str) -> bytes:
    """Return the bytes of an image file."""
    limit = max(_MIN_FILE_LIMIT, _MAX_BYTES_PER_PIXEL * max_pixels())
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{where} can't be read: {error.strerror}.") from error
    except ValueError as error:  # a pipe, or a path with a null character
        raise ValueError(f"{where} can't be read: {error}.") from error
    if len(data) > limit:
        raise ValueError(
            f"{where} has more than {limit / 1e6:,.0f} MB, more than {_MAX_BYTES_PER_PIXEL} bytes "
            f"for each of {_millions(max_pixels())} million pixels. {_WAY_OUT}"
        )
    return data


class TooManyPixelsError(ValueError):
    """An image has more pixels than `max_pixels`."""


def check_n_pixels(width: int, height: int, where: str) -> None:
    """Raise an error if the size in the header of an image exceeds `max_pixels`."""
    if width < 1 or height < 1:
        raise ValueError(f"{where} can't be decoded as an image: its header names no size.")
    if width * height > max_pixels():
        raise TooManyPixelsError(
            f"{where} has {width} x {height} pixels by its header; at most "
            f"{_millions(max_pixels())} million are decoded. {_WAY_OUT}"
        )


_WAY_OUT = (
    f"Make it smaller, or set the environment variable {LIMIT_NAME} to a larger number. "
    f"See {page('guide/own_photos')}"
)


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:g}"
