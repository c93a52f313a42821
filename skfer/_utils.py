"""Small helpers without a subject of their own."""

from __future__ import annotations

import os
import reprlib
import stat
from typing import IO, Any

_LONGEST_QUOTE = 80


_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | os.PathLike) -> IO[bytes]:
    """Open a file for reading bytes, without waiting for a pipe or reading a device.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    binary file

    Raises
    ------
    OSError
        If it can't be opened.
    ValueError
        If it is a pipe, a device or a folder, or `path` holds a null character.

    Examples
    --------
    >>> from skfer._utils import open_regular
    >>> open_regular("/dev/null")
    Traceback (most recent call last):
    ...
    ValueError: it is a device, not a file
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))

    kind = stat.S_IFMT(os.stat(path).st_mode)
    if kind == stat.S_IFREG:  # a device may do something when it is opened
        file = open(path, "rb", opener=opener)  # noqa: SIM115 - the caller closes it
        kind = stat.S_IFMT(os.fstat(file.fileno()).st_mode)
        if kind == stat.S_IFREG:
            return file
        file.close()
    raise ValueError(f"it is {_KINDS.get(kind, 'of an unknown kind')}, not a file")


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
