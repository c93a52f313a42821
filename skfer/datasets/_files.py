"""Reading of tables and folders, and names of the parts of a data set."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from skfer._utils import open_regular, shorten

TRAINING, PUBLIC_TEST, PRIVATE_TEST = "Training", "PublicTest", "PrivateTest"
# Parts of copies of FER2013 as folders; "test" consists of both tests.
VALIDATION, TEST = "Validation", "Test"
_SPLITS = {
    **dict.fromkeys(("train", "training"), TRAINING),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
    "publictest": PUBLIC_TEST,
    "privatetest": PRIVATE_TEST,
}

# A line of a table. FER2013's have at most 4 characters for each of 2,304 pixels.
_MAX_LINE_LENGTH = 65_536
# AffectNet has a million rows.
_MAX_LINES = 2_000_000
# Bytes that a packed table or archive of arrays may unpack to.
_MAX_BYTES = 2_000_000_000
# Maximum ratio of unpacked to packed size, above a size. The ratio of FER2013 is 3.
_MAX_RATIO = 20
_ANY_RATIO = 4_000_000
# Errors of damaged text, CSV and gzip files.
_DAMAGE = (ValueError, csv.Error, EOFError, gzip.BadGzipFile, zlib.error)


def split_of(name: str) -> str | None:
    """Return the part of a data set with that name; None if there is none."""
    word = re.sub(r"[\s_-]", "", str(name).casefold())
    return _SPLITS.get(word) or _SPLITS.get(re.sub(r"(set|data|images)$", "", word))


def looks_like_split(name: str) -> bool:
    """Return whether a folder is named as a part of a data set: "train", "FER2013Train"."""
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return split_of(name) is not None or bool(words and split_of(words[-1]))


class Lines:
    """The lines of a text table, within limits on their length and number."""

    def __init__(self, text: IO[str], max_characters: int | None):
        self._text = text
        self._max_characters = max_characters
        self._n_characters = 0
        self.number = 0

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        self.number += 1
        line = self._text.readline(_MAX_LINE_LENGTH)
        self._n_characters += len(line)
        if not line:
            self.number -= 1
            raise StopIteration
        if len(line) == _MAX_LINE_LENGTH:
            raise ValueError(f"it is longer than {_MAX_LINE_LENGTH:,} characters.")
        if self.number > _MAX_LINES:
            raise ValueError(f"a table may have {_MAX_LINES:,} lines. Split it.")
        if self._max_characters is not None and self._n_characters > self._max_characters:
            raise ValueError(
                f"the file unpacks to more than {self._max_characters / 1e6:,.0f} MB, {_MAX_RATIO} "
                "times its size. If that is right, unpack it first."
            )
        return line


@contextlib.contextmanager
def open_table(source: Path) -> Iterator[Lines]:
    """Yield the lines of a text table, compressed or not, within limits on size."""
    try:
        file = open_regular(source)
    except ValueError as error:
        raise ValueError(f"{str(source)!r} can't be read: {error}.") from error
    with file:
        packed = source.name.lower().endswith(".gz")
        binary: Any = gzip.GzipFile(fileobj=file) if packed else file
        limit = unpacked_limit(source) if packed else None
        with io.TextIOWrapper(binary, newline="", encoding="utf-8-sig") as text:
            lines = Lines(text, limit)
            try:
                yield lines
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{str(source)!r} is not text in UTF-8 ({error}). Save it as a CSV file in "
                    "UTF-8, or give load_image_table the DataFrame of pandas.read_csv(..., "
                    "encoding='latin-1') or pandas.read_excel(...)."
                ) from error
            except _DAMAGE as error:
                line = max(lines.number, 1)
                raise ValueError(f"{str(source)!r}, line {line}: {error}") from error


def unpacked_limit(source: Path) -> int:
    """Return the number of bytes that a compressed file may unpack to."""
    return min(_MAX_BYTES, _ANY_RATIO + _MAX_RATIO * source.stat().st_size)


def known_split(word: Any, where: str = "") -> str:
    """Return the part of a data set with that name; an error begins with `where`."""
    split = split_of(word)
    if split is None:
        raise ValueError(
            f"{where}usage is {shorten(word)}; expected Training, PublicTest, PrivateTest, or "
            "train, val and test."
        )
    return split
