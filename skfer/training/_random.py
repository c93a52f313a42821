"""Seeds for one fit, without a trace on the rest of the process."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator


@contextlib.contextmanager
def isolated_random_state(seed: int) -> Iterator[None]:
    """Seed what Keras draws from, and put the process's own state back afterwards.

    Keras layers take the seeds of their initial weights and dropout masks from Python's
    generator. TensorFlow's global seed is left alone: nothing skfer runs depends on it, and
    it could not be restored through TensorFlow's public functions.

    Parameters
    ----------
    seed : int
        The seed, in [0, 2**32).
    """
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
