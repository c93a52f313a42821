"""Small helpers without a subject of their own."""

from __future__ import annotations

import reprlib
from typing import Any

_LONGEST_QUOTE = 80

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _LONGEST_QUOTE
_repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxdict = 20


def shorten(value: Any) -> str:
    """Return the repr of a value for an error, of at most 80 characters.

    What is too long loses its middle: a path keeps its name, and a list its ends.

    Parameters
    ----------
    value : object

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
        value = bytes(value[:_LONGEST_QUOTE])  # its end is of no use, and may be far away
    text = _repr.repr(value)
    if "\n" in text:  # such as of an array
        text = " ".join(text.split())
    if len(text) <= _LONGEST_QUOTE:
        return text
    half = (_LONGEST_QUOTE - 3) // 2
    return f"{text[:half]}...{text[half - _LONGEST_QUOTE + 3 :]}"
