"""Seeds for building a network, without a trace on the rest of the process."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Iterator

# The generator is the process's: two networks built at once would take each other's numbers.
_one_at_a_time = threading.RLock()


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
    """
    with _one_at_a_time:
        state = random.getstate()
        random.seed(seed)
        try:
            yield
        finally:
            random.setstate(state)
