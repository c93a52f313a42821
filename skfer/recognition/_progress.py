"""`progress_bar`: how far it is, on standard error."""

from __future__ import annotations

import contextlib
from typing import Any

from skfer._extras import import_extra


class _Silent:
    def update(self, count: int) -> None:
        pass


def progress_bar(
    what: str, total: int | None, unit: str, *, shown: bool
) -> contextlib.AbstractContextManager[Any]:
    """A bar whose ``update(count)`` is called in the block; one that isn't seen if not `shown`.

    Parameters
    ----------
    what : str
        What the bar is called.
    total : int or None
        How many come; None if nobody knows.
    unit : str
        What is counted.
    shown : bool
        Whether there is a bar, which needs tqdm.
    """
    if not shown:
        return contextlib.nullcontext(_Silent())
    tqdm = import_extra("tqdm", "progress=True", "table")
    return tqdm.tqdm(total=total, desc=what, unit=f" {unit}")
