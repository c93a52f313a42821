"""TensorFlow's threads, which are limited before its first operation."""

from __future__ import annotations

import tensorflow as tf

from skfer._threads import require_usable_tensorflow, tensorflow_in_use, threads_allowed


def prepare_tensorflow() -> None:
    """Limit TensorFlow's threads to those that this process may use, if it has none yet.

    Raises
    ------
    RuntimeError
        If the process was forked from one that had used TensorFlow.

    Examples
    --------
    >>> from skfer.training import prepare_tensorflow
    >>> prepare_tensorflow()
    """
    require_usable_tensorflow()
    allowed = threads_allowed()
    if allowed is None or tensorflow_in_use():
        return
    for kind in ("intra", "inter"):
        # What other code has set stays.
        if getattr(tf.config.threading, f"get_{kind}_op_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{kind}_op_parallelism_threads")(allowed)
