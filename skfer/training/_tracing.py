"""Quiet about what TensorFlow takes for retracing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator


class _NoRetracingWarning(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return "triggered tf.function retracing" not in record.getMessage()


@contextlib.contextmanager
def one_trace_a_fit() -> Iterator[None]:
    """Drop TensorFlow's warning of repeated tracing for the time of a fit.

    It counts the training steps of all networks as one function, by their place in Keras's
    source, where every fit rightly traces its own once: short fits in a grid search set it off.

    Yields
    ------
    None

    Examples
    --------
    >>> import logging
    >>> from skfer.training import one_trace_a_fit
    >>> with one_trace_a_fit():
    ...     logging.getLogger("tensorflow").warning("5 calls triggered tf.function retracing")
    """
    logger = logging.getLogger("tensorflow")
    own = _NoRetracingWarning()  # one for each fit, so that fits in threads don't share it
    logger.addFilter(own)
    try:
        yield
    finally:
        logger.removeFilter(own)
