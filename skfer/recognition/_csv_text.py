"""Words in CSV files that no spreadsheet takes for a formula.

A file may be named, and a class of somebody's model called, ``=HYPERLINK(...)``: a spreadsheet that
opens the table would compute it. An apostrophe before it makes it a word to all of them.
"""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")


def defused(value: Any) -> Any:
    """A value as it is written: words that begin as formulas do get an apostrophe, numbers none.

    Examples
    --------
    >>> from skfer.recognition._csv_text import defused, restored
    >>> defused("=1+1"), defused("party.jpg"), defused(-1.5)
    ("'=1+1", 'party.jpg', -1.5)
    >>> restored(defused("=1+1"))
    '=1+1'
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def restored(value: Any) -> Any:
    """The value that `defused` was given."""
    return value[1:] if isinstance(value, str) and _DEFUSED.match(value) else value


def table_as_csv(table: Any, **options: Any) -> str:
    """A pandas table as CSV, its words and the names of its columns defused."""
    words = table.select_dtypes(include=["object", "string"]).columns
    written = table.assign(**{name: table[name].map(defused) for name in words})
    return written.rename(columns=defused).to_csv(index=False, **options)
