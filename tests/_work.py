"""Functions for child processes, which import this module."""

import os
import signal
import sys
import time

import numpy as np


def process_id():
    return os.getpid()


def count(end):
    yield from range(end)


def arrays(sizes):
    for index, size in enumerate(sizes):
        yield np.full(size, index)


def filled(size, value):
    return np.full(size, value, np.uint8)


def fill_memory(size):
    return len(bytearray(size))


def fail():
    raise KeyError("key")


def fail_unpicklable():
    class UnpicklableError(Exception):
        pass

    raise UnpicklableError("reason")


def leave():
    os._exit(7)


def decode_slowly(data, name, max_pixels):
    time.sleep(60)


def decode_into_memory(data, name, max_pixels):
    return bytearray(2**40)


def decode_and_crash(data, name, max_pixels):
    os.kill(os.getpid(), signal.SIGSEGV)


def read_file(file):
    yield file.read()


def modules_after_decoding():
    from skfer._video_file import import_av

    import_av()
    return set(sys.modules)
