"""What an image may be before it is read and decoded: a file, and not too large."""

from __future__ import annotations

import os

from skfer._documentation import page
from skfer._utils import open_regular, shorten

LIMIT_NAME = "SKFER_MAX_PIXELS"
# 450 MB in colour. The cameras of phones come to 108 million, and mostly to 12.
MAX_PIXELS = 150_000_000
# As a file without compression has them: 16 bits in each of four channels.
_MOST_BYTES_A_PIXEL = 8
_SMALLEST_LIMIT_OF_FILES = 50_000_000


def max_pixels() -> int:
    """Pixels that an image may have, width times height; more are not decoded.

    It is 150 million, or what the environment variable ``SKFER_MAX_PIXELS`` says: a variable of the
    environment, because worker processes have it too.

    Raises
    ------
    ValueError
        If the variable is no whole number above 0.
    """
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
    """The bytes of an image's file.

    Raises
    ------
    ValueError
        If it can't be read, is a device, or is larger than an image of so many pixels can be.
    """
    most = max(_SMALLEST_LIMIT_OF_FILES, _MOST_BYTES_A_PIXEL * max_pixels())
    try:
        with open_regular(path) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ValueError(f"{where} can't be read: {error.strerror}.") from error
    except ValueError as error:  # a pipe, or a path with a null character
        raise ValueError(f"{where} can't be read: {error}.") from error
    if len(data) > most:
        raise ValueError(
            f"{where} has more than {most / 1e6:,.0f} MB, more than {_MOST_BYTES_A_PIXEL} bytes "
            f"for each of {_millions(max_pixels())} million pixels. {_WAY_OUT}"
        )
    return data


class TooManyPixelsError(ValueError):
    """An image has more pixels than `max_pixels`."""


def refuse_large(width: int, height: int, where: str) -> None:
    """Refuse an image by the size in its header, for which decoding would make room.

    Raises
    ------
    TooManyPixelsError
        If it has more pixels than `max_pixels`.
    ValueError
        If it has none.
    """
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
