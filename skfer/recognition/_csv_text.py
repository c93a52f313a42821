"""Words in CSV files that no spreadsheet takes for a formula.

A file may be named, and a class of somebody's model called, ``=HYPERLINK(...)``: a spreadsheet that
opens the table would compute it. An apostrophe before it makes it a word to all of them.
"""

from __future__ import annotations

import re
from typing import Any

from skfer._utils import printable

# Full-width signs count in some spreadsheets.
_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
_FORMULA = re.compile(rf"'*\s*[{_SIGNS}]")
_DEFUSED = re.compile(rf"'+\s*[{_SIGNS}]")


def defused(value: Any) -> Any:
    """Return a value as it is written: an apostrophe before a formula, control characters escaped.

    Examples
    --------
    >>> from skfer.recognition._csv_text import defused, restored
    >>> defused("=1+1"), defused("party.jpg"), defused(-1.5)
    ("'=1+1", 'party.jpg', -1.5)
    >>> restored(defused("=1+1"))
    '=1+1'
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) else text


def restored(value: Any) -> Any:
    """Return the value that `defused` was given; control characters stay escaped."""
    return value[1:] if isinstance(value, str) and _DEFUSED.match(value) else value


def table_as_csv(table: Any, **options: Any) -> str:
    """A pandas table as CSV, its words and the names of its columns defused."""
    words = table.select_dtypes(include=["object", "string"]).columns
    written = table.assign(**{name: table[name].map(defused) for name in words})
    return written.rename(columns=defused).to_csv(index=False, **options)
