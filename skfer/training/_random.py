"""Seeds for building a network, without a trace on the rest of the process."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator
from typing import Any

from keras.src.random import seed_generator

# The generator is the process's: two networks built at once would take each other's numbers.
_one_at_a_time = threading.RLock()


class _RandomOfThread:
    """The module `random`, but for a thread that has been given a generator of its own."""

    def __init__(self) -> None:
        self.own = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self.own, "generator", None) or random, name)


# What other threads draw (the event loop of a Dask worker does, at any time) would shift the
# numbers that Keras gets. There is no public way to give it a generator: where Keras keeps its
# own elsewhere, the seeded one of the process serves.
_seen_by_keras = _RandomOfThread()
if getattr(seed_generator, "python_random", None) is random:
    seed_generator.python_random = _seen_by_keras


@contextlib.contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed what Keras draws from, and put the process's own state back afterwards.

    Keras layers take the seeds of their initial weights and dropout masks from Python's
    generator when they are made. TensorFlow's global seed is left alone: nothing skfer runs
    depends on it, and it could not be restored through TensorFlow's public functions.

    Parameters
    ----------
    seed : int
        The seed, in [0, 2**32).

    Yields
    ------
    None

    Examples
    --------
    >>> import keras
    >>> from skfer.training import isolated_random_state
    >>> first_weights = []
    >>> for _ in range(2):
    ...     with isolated_random_state(0):
    ...         network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    ...     first_weights.append(float(network.get_weights()[0][0, 0]))
    >>> first_weights[0] == first_weights[1]
    True
    """
    with _one_at_a_time:
        state, outer = random.getstate(), getattr(_seen_by_keras.own, "generator", None)
        random.seed(seed)
        _seen_by_keras.own.generator = random.Random(seed)
        try:
            yield
        finally:
            random.setstate(state)
            _seen_by_keras.own.generator = outer
