"""Threads: how many this process may use, and whether TensorFlow lost its own in a fork."""

from __future__ import annotations

import os
import re
import sys

import cv2

_forked_in_use = False


def tensorflow_is_usable() -> bool:
    """Return False in a process that was forked from one in which TensorFlow was at work.

    TensorFlow's threads are not there after a fork; it would wait for them forever.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skfer._threads import tensorflow_is_usable
    >>> tensorflow_is_usable()
    True
    """
    return not _forked_in_use


def require_usable_tensorflow() -> None:
    """Raise an error where TensorFlow would hang.

    Raises
    ------
    RuntimeError
        If the process was forked from one that had used TensorFlow.
    """
    if not tensorflow_is_usable():
        raise RuntimeError(
            "This process was forked from one that had used TensorFlow, whose threads a fork "
            'leaves behind: it would wait for them for good. Use joblib\'s backend "loky", which '
            'is its default, or multiprocessing\'s "spawn" instead of "fork".'
        )


def tensorflow_in_use() -> bool:
    """Return whether TensorFlow has started its threads in this process. It is not imported."""
    module = sys.modules.get("tensorflow.python.eager.context")
    try:
        context = module.context_safe()  # type: ignore[union-attr]
        return context is not None and bool(context._initialized)
    except AttributeError:
        # There is no public way to tell. Without one, TensorFlow counts as unused.
        return False


def _note_a_fork() -> None:
    global _forked_in_use
    _forked_in_use = _forked_in_use or tensorflow_in_use()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_a_fork)


def threads_allowed() -> int | None:
    """Return ``OMP_NUM_THREADS``, at most the number of cores; None if it is not set.

    joblib and Dask set it in their workers. TensorFlow, OpenCV and ONNX Runtime ignore it: in two
    workers on two cores, each would use both cores.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if not re.fullmatch("[0-9]{1,9}", wanted) or not int(wanted):
        return None
    return min(int(wanted), os.cpu_count() or 1)


def limit_opencv() -> None:
    """Limit OpenCV's threads in the same way, unless other code has set their number."""
    allowed = threads_allowed()
    if allowed is not None and cv2.getNumThreads() == cv2.getNumberOfCPUs():
        cv2.setNumThreads(min(allowed, cv2.getNumberOfCPUs()))
