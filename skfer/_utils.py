"""Small helpers without a subject of their own."""

from __future__ import annotations

import reprlib
from typing import Any

_LONGEST_QUOTE = 80


def shorten(value: Any, most: int = _LONGEST_QUOTE) -> str:
    """Return the repr of a value for an error, of at most `most` characters.

    What is too long loses its middle: a path keeps its name, and a list its ends.

    Parameters
    ----------
    value : object
    most : int, default=80

    Returns
    -------
    str

    Examples
    --------
    >>> from skfer._utils import shorten
    >>> shorten("happy")
    "'happy'"
    >>> len(shorten("0 255 " * 2304))
    80
    """
    if isinstance(value, bytes | bytearray):
        value = bytes(value[:most])  # its end is of no use, and may be far away
    limited = reprlib.Repr()
    limited.maxstring = limited.maxother = most
    limited.maxlist = limited.maxtuple = limited.maxset = limited.maxdict = most // 4
    text = limited.repr(value)
    if "\n" in text:  # such as of an array
        text = " ".join(text.split())
    if len(text) <= most:
        return text
    half = (most - 3) // 2
    return f"{text[:half]}...{text[half - most + 3 :]}"
