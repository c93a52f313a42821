"""Functions that tests run in a child process, which imports them from here."""

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
    for place, size in enumerate(sizes):
        yield np.full(size, place)


def filled(size, value):
    return np.full(size, value, np.uint8)


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


def decode_slowly(data, where, most_pixels):
    time.sleep(60)


def decode_into_memory(data, where, most_pixels):
    return bytearray(2**40)


def decode_and_crash(data, where, most_pixels):
    os.kill(os.getpid(), signal.SIGSEGV)


def read_file(file):
    yield file.read()


def modules_after_decoding():
    from skfer._video_file import import_av

    import_av("this")
    return set(sys.modules)
