"""Limits on uploads and on concurrent work."""

from __future__ import annotations

import ctypes
import dataclasses
import math
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from skfer._worker import MIN_MEMORY

# Uploads that wait for a slot, each in a thread of the server.
MAX_WAITING = 8


@dataclasses.dataclass(frozen=True)
class Limits:
    """Limits of the web page on uploads and on concurrent work.

    Parameters
    ----------
    photo_bytes : int, default=20_000_000
        Size of a photo. With `serve`, a larger one is refused by its declared length, before it is
        received.
    photo_pixels : int, default=50_000_000
        Width times height of a photo. A larger one is refused by its header and not decoded.
    photo_seconds : float, default=10.0
        Time to decode a photo.
    video_bytes : int, default=200_000_000
        Size of a video, checked like that of a photo.
    video_pixels : int, default=9_000_000
        Width times height of the frames of a video.
    video_seconds : float, default=180.0
        Duration of a video. One that declares more is refused; otherwise reading ends there.
    work_seconds : float, default=600.0
        Time to process a video. The answer has the frames that were read until then.
    work_memory : int, default=750_000_000
        Bytes of memory of the child process that decodes a photo or video, at least 200 million.
        Enforced on Linux only.
    concurrent : int, default=2
        Uploads that are processed at once. Above 1, videos leave one slot to photos.
    patience : float, default=2.0
        Seconds that an upload waits for a slot. Up to 8 wait; others get status 429 at once.

    Raises
    ------
    ValueError
        If a limit is below 1 (`patience`: below 0, `work_memory`: below 200 million) or not
        finite.

    Examples
    --------
    >>> from skfer.web import Limits
    >>> Limits(video_seconds=30).video_seconds
    30
    """

    photo_bytes: int = 20_000_000
    photo_pixels: int = 50_000_000
    photo_seconds: float = 10.0
    video_bytes: int = 200_000_000
    video_pixels: int = 9_000_000
    video_seconds: float = 180.0
    work_seconds: float = 600.0
    work_memory: int = 750_000_000
    concurrent: int = 2
    patience: float = 2.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            lowest = {"patience": 0, "work_memory": MIN_MEMORY}.get(field.name, 1)
            if not (value >= lowest and math.isfinite(value)):
                raise ValueError(f"{field.name}={value!r} must be finite and at least {lowest}.")


class BusyError(Exception):
    """No slot became free in time, or too many callers wait for one."""


class WorkSlots:
    """Limit concurrent work. A few more callers wait briefly, and others are refused at once.

    The work runs in as many threads as there are slots, not in the many threads of the server:
    detectors and the allocator keep memory for each thread that has worked (600 MB for eight).
    """

    def __init__(self, count: int, patience: float):
        self._free = threading.BoundedSemaphore(count)
        # Videos take minutes. They leave one slot to photos, if there are several.
        self._free_for_videos = threading.BoundedSemaphore(max(1, count - 1))
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._patience = patience
        self._threads = ThreadPoolExecutor(count, "skfer-web")

    @contextmanager
    def acquire(self, *, video: bool = False) -> Iterator[Callable[..., Any]]:
        """Hold a slot, and yield a function that calls another one in one of the threads."""
        with ExitStack() as stack:
            for semaphore in (self._free_for_videos, self._free) if video else (self._free,):
                self._wait_for(semaphore)
                stack.callback(semaphore.release)
            yield lambda function, *arguments: self._threads.submit(function, *arguments).result()

    def _wait_for(self, semaphore: threading.Semaphore) -> None:
        if semaphore.acquire(blocking=False):
            return
        if not self._waiting.acquire(blocking=False):
            raise BusyError
        try:
            if not semaphore.acquire(timeout=self._patience):
                raise BusyError
        finally:
            self._waiting.release()


def release_memory() -> None:
    """Return freed memory to the system; glibc keeps that of large arrays."""
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
