"""Markdown of the documentation pages that benchmarks write."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], *, words: int = 1) -> str:
    """Return a table whose first `words` columns are left-aligned."""
    align = ["---"] * words + ["---:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, align, *rows))


def percent(share: float) -> str:
    return f"{100 * share:.1f}"


def versions_line(versions: dict[str, str]) -> str:
    return "Measured with " + ", ".join(f"{name} {value}" for name, value in versions.items()) + "."


def wrap(page: str) -> str:
    """Wrap the lines of paragraphs and lists."""
    return "\n\n".join(map(_wrap_block, page.split("\n\n"))) + "\n"


def _wrap_block(block: str) -> str:
    if block.startswith(("|", "#", "!")):
        return block
    items = re.split(r"\n(?=- )", block) if block.startswith("- ") else [block]
    return "\n".join(
        textwrap.fill(
            " ".join(item.split()),
            100,
            subsequent_indent="  " if item.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for item in items
    )
