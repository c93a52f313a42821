"""What a process must be, and do, before TensorFlow works in it."""

from __future__ import annotations

import tensorflow as tf

from skfer._threads import (
    require_usable_tensorflow,
    tensorflow_in_use,
    tensorflow_is_usable,
    threads_allowed,
)


def is_usable() -> bool:
    """Whether TensorFlow can work here: not in a process forked from one in which it was at work.

    Its threads are not there after a fork, and it would wait for them for good.

    Returns
    -------
    bool

    Examples
    --------
    >>> from skfer.training import is_usable
    >>> is_usable()
    True
    """
    return tensorflow_is_usable()


def prepare_tensorflow() -> None:
    """Set TensorFlow's threads to those that this process may use, if it has none yet.

    Raises
    ------
    RuntimeError
        If TensorFlow can't work here.

    Examples
    --------
    >>> from skfer.training import prepare_tensorflow
    >>> prepare_tensorflow()
    """
    require_usable_tensorflow()
    allowed = threads_allowed()
    if allowed is None or tensorflow_in_use():
        return
    for of in ("intra", "inter"):
        # What other code has set stays.
        if getattr(tf.config.threading, f"get_{of}_op_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{of}_op_parallelism_threads")(allowed)
