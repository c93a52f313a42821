"""Small helpers without a subject of their own."""

from __future__ import annotations

import os
import re
import reprlib
import stat
from typing import IO, Any

_LONGEST_QUOTE = 80
# Control characters, marks that change the direction of text, and parts of names that are not
# UTF-8.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
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


def printable(text: str, *, keep: str = "", controls: bool = True) -> str:
    r"""Escape characters that a terminal acts on, or that no encoding can write.

    Parameters
    ----------
    text : str
    keep : str, default=""
        Control characters that are not escaped.
    controls : bool, default=True
        False escapes only the parts of a file name that are not UTF-8.

    Returns
    -------
    str
        JSON stays JSON.

    Examples
    --------
    >>> from skfer._utils import printable
    >>> print(printable("happy\x1b[2J"), printable("Größe 大きい"))
    happy\u001b[2J Größe 大きい
    >>> print(printable("caf\udce9.jpg", controls=False))
    caf\udce9.jpg
    """
    unsafe = _CONTROL if controls else _NOT_UTF8
    return unsafe.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def _escape(character: str) -> str:
    return f"\\u{ord(character):04x}"


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
