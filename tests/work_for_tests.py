"""Functions that tests run in a child process, which imports them from here."""

from __future__ import annotations

import os
import sys

import numpy as np


def process_id():
    return os.getpid()


def count(end):
    yield from range(end)


def arrays(sizes):
    for place, size in enumerate(sizes):
        yield np.full(size, place)


def fill_memory(size):
    return len(bytearray(size))


def fail():
    raise KeyError("which")


def fail_strangely():
    class UnpicklableError(Exception):
        pass

    raise UnpicklableError("it was so")


def leave():
    os._exit(7)


def read_file(file):
    yield file.read()


def modules_after_decoding():
    from skfer._video_file import import_av

    import_av("this")
    return set(sys.modules)
