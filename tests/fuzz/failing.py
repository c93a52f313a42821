"""Targets with one planted fault each, which `run.py` must notice."""

import ctypes
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from targets import Target

_LIBC = ctypes.CDLL(None)
_KEPT: list[object] = []


def _raise(_: Path) -> None:
    raise KeyError("nobody expects this")


def _abort(_: Path) -> None:
    os.abort()


def _exit(_: Path) -> None:
    os._exit(0)


def _escape(folder: Path) -> None:
    (folder.parent / "escaped").write_text("outside")


def _escape_in_c(folder: Path) -> None:
    os.close(_LIBC.open(os.fsencode(folder.parent / "escaped"), os.O_WRONLY | os.O_CREAT, 0o600))


def _program(_: Path) -> None:
    os.system("true")


def _program_in_c(_: Path) -> None:
    _LIBC.system(b"/bin/true")


def _connect_in_c(_: Path) -> None:
    descriptor = _LIBC.socket(2, 1, 0)  # TCP
    address = b"\x02\x00\x00\x09\x7f\x00\x00\x02" + bytes(8)  # 127.0.0.2:9
    _LIBC.connect(descriptor, address, len(address))
    os.close(descriptor)


def _hang(_: Path) -> None:
    while True:
        pass


def _taken(megabytes: int) -> bytearray:
    block = bytearray(megabytes * 1_000_000)
    block[::4096] = b"x" * len(range(0, len(block), 4096))  # memory is had when it is written to
    return block


def _memory(_: Path) -> None:
    _taken(2000)


def _leak(_: Path) -> None:
    _KEPT.append(_taken(300))


def _slow_leak(_: Path) -> None:
    _KEPT.append(_taken(100))


def _file(_: Path) -> None:
    _KEPT.append(os.open("/dev/null", os.O_RDONLY))


def _threads(_: Path) -> None:
    for _number in range(20):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def _temporary(folder: Path) -> None:
    tempfile.mkstemp()


def _failing(fail: Callable[[Path], None]) -> Target:
    def run(data: bytes, _: str, folder: Path) -> None:
        if data != b"right":
            fail(folder)

    return Target(lambda _: {"file": b"right"}, run, lambda data, rng, others: b"wrong", 1.0)


FAILING = {
    f"fails_{function.__name__.strip('_')}": _failing(function)
    for function in (
        *(_raise, _abort, _exit, _escape, _escape_in_c, _program, _program_in_c, _connect_in_c),
        *(_hang, _memory, _leak, _slow_leak, _file, _threads, _temporary),
    )
}
