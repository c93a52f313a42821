"""Targets with one planted fault each, which `run.py` must detect."""

import ctypes
import os
import tempfile
import threading

from targets import Target

_LIBC = ctypes.CDLL(None)
_KEPT = []


def _raise(_):
    raise KeyError("unexpected")


def _hang(_):
    while True:
        pass


def _connect_in_c(_):
    descriptor = _LIBC.socket(2, 1, 0)  # TCP
    address = b"\x02\x00\x00\x09\x7f\x00\x00\x02" + bytes(8)  # 127.0.0.2:9
    _LIBC.connect(descriptor, address, len(address))
    os.close(descriptor)


def _escape_in_c(folder):
    os.close(_LIBC.open(os.fsencode(folder.parent / "escaped"), os.O_WRONLY | os.O_CREAT, 0o600))


def _allocate(megabytes):
    block = bytearray(megabytes * 1_000_000)
    block[::4096] = b"x" * len(range(0, len(block), 4096))  # pages are allocated when written
    return block


def _threads(_):
    for _number in range(20):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


_FAULTS = {
    "raise": _raise,
    "abort": lambda _: os.abort(),
    "exit": lambda _: os._exit(0),
    "escape": lambda folder: (folder.parent / "escaped").write_text("outside"),
    "escape_in_c": _escape_in_c,
    "program": lambda _: os.system("true"),
    "program_in_c": lambda _: _LIBC.system(b"/bin/true"),
    "connect_in_c": _connect_in_c,
    "hang": _hang,
    "memory": lambda _: bool(_allocate(2000)),
    "leak": lambda _: _KEPT.append(_allocate(300)),
    "slow_leak": lambda _: _KEPT.append(_allocate(100)),
    "file": lambda _: _KEPT.append(os.open("/dev/null", os.O_RDONLY)),
    "threads": _threads,
    "temporary": lambda _: tempfile.mkstemp(),
}


def _failing(fail):
    def run(data, _, folder):
        if data != b"valid":
            fail(folder)

    return Target(lambda _: {"file": b"valid"}, run, lambda data, rng, others: b"changed", 1.0)


FAILING = {f"fails_{name}": _failing(fail) for name, fail in _FAULTS.items()}
