"""What a process must be, and do, before TensorFlow works in it."""

from __future__ import annotations

import os

import tensorflow as tf

from skfer._threads import threads_allowed

_forked_in_use = False


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
    return not _forked_in_use


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
    if not is_usable():
        raise RuntimeError(
            "This process was forked from one that had used TensorFlow, whose threads a fork "
            'leaves behind: it would wait for them for good. Use joblib\'s backend "loky", which '
            'is its default, or multiprocessing\'s "spawn" instead of "fork".'
        )
    allowed = threads_allowed()
    if allowed is None or _in_use():
        return
    for of in ("intra", "inter"):
        # What other code has set stays.
        if getattr(tf.config.threading, f"get_{of}_op_parallelism_threads")() == 0:
            getattr(tf.config.threading, f"set_{of}_op_parallelism_threads")(allowed)


def _in_use() -> bool:
    """Whether TensorFlow has started its threads in this process."""
    try:
        from tensorflow.python.eager.context import context_safe

        context = context_safe()
        return context is not None and bool(context._initialized)
    except (ImportError, AttributeError):
        # There is no public way to tell: it is taken to be as it should be.
        return False


def _note_a_fork() -> None:
    global _forked_in_use
    _forked_in_use = _forked_in_use or _in_use()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_a_fork)
