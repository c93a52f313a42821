"""How many threads this process may use."""

from __future__ import annotations

import os

import cv2


def threads_allowed() -> int | None:
    """What ``OMP_NUM_THREADS`` says, which joblib and Dask set in their workers; None: all cores.

    Many libraries keep to it by themselves. TensorFlow, OpenCV and ONNX Runtime don't: in two
    workers on two cores, each would use both cores, and they would hinder one another.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdigit() and int(wanted) else None


def limit_opencv() -> None:
    """Let OpenCV use so many threads, unless it has been told how many by other code."""
    allowed = threads_allowed()
    if allowed is not None and cv2.getNumThreads() == cv2.getNumberOfCPUs():
        cv2.setNumThreads(min(allowed, cv2.getNumberOfCPUs()))
