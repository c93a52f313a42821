"""Large arrays: refused with their size named where there is no room, before the work is begun."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

# Below this nobody asks how much is free.
_SMALL = 256_000_000
_GROUP_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def new_batch(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An array for a batch of images, not filled yet.

    The system grants memory that it doesn't have and ends the process that uses it, so what is
    free is asked before.

    Parameters
    ----------
    shape : tuple of int
        Images, height, width, channels.
    dtype : dtype

    Raises
    ------
    MemoryError
        If it doesn't fit; the size is named.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    free = free_memory() if size > _SMALL else None
    if free is None or size <= free:
        try:
            return np.empty(shape, dtype)
        except MemoryError:
            pass  # told below, with what can be done
    n, *image = shape
    there = "" if free is None else f", and {free / 1e9:,.1f} GB are free"
    raise MemoryError(
        f"{n:,} images of {' x '.join(map(str, image))} {np.dtype(dtype)} take {size / 1e9:,.1f} "
        f"GB{there}. Make them smaller (the size of the resizer), or give fewer at a time."
    )


def free_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system doesn't say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        known = dict(line.split(":", 1) for line in lines)
        free = int(known["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None
    return min([free, *_left_in_group()])


def _left_in_group() -> list[int]:
    """What the limit of a container leaves, if there is one."""
    left = []
    for limit, used in _GROUP_LIMITS:
        try:
            left.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # "max", or no such file
            continue
    return left
