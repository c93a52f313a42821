"""Targets that fail on purpose, each in the way that its name says: whether the watch sees it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from targets import Target


def _raise(_: Path) -> None:
    raise KeyError("nobody expects this")


def _abort(_: Path) -> None:
    os.abort()


def _escape(folder: Path) -> None:
    (folder.parent / "escaped").write_text("outside")


def _program(_: Path) -> None:
    os.system("true")


def _hang(_: Path) -> None:
    while True:
        pass


def _memory(_: Path) -> None:
    taken = bytearray(2_000_000_000)
    taken[::4096] = b"x" * len(range(0, len(taken), 4096))  # memory is had when it is written to


def _failing(fail: Callable[[Path], None]) -> Target:
    def run(data: bytes, _: str, folder: Path) -> None:
        if data != b"right":
            fail(folder)

    return Target(lambda _: {"file": b"right"}, run, lambda data, rng, others: b"wrong", 1.0)


FAILING = {
    f"fails_{function.__name__.strip('_')}": _failing(function)
    for function in (_raise, _abort, _escape, _program, _hang, _memory)
}
