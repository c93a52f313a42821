"""Cases of one target, in a process that may crash: worker.py TARGET START STOP SEED FOLDER.

Before each case its number is printed, and after it how it went, as a line of JSON. Whatever writes
outside the case's folder, starts a program or opens a connection fails its case.
"""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import shutil
import sys
import time
import traceback
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from failing import FAILING
from targets import TARGETS, Refused, Target, silence

# A case may not need more than this beyond what the process had already, in kilobytes.
_MEMORY = 1_500_000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "shutil.move"),
}
_NEVER = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"}


class Guard:
    """Sees what Python opens, while it is on."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None:
            return
        if event in _NEVER:
            self.seen.append(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                self._check(path, "writes")
        elif event in _CHANGES and isinstance(arguments[0], str | bytes):
            self._check(arguments[0], event)

    def _check(self, path: str | bytes, what: str) -> None:
        place = os.path.realpath(os.fsdecode(path))
        if place != "/dev/null" and not place.startswith(f"{self.folder}{os.sep}"):
            self.seen.append(f"{what} {place}")


def case_data(target: Target, seeds: dict[str, bytes], number: list[int]) -> tuple[str, bytes]:
    """The wrong file of a case, and the name of the right one it was made from."""
    rng = np.random.default_rng(number)
    name = sorted(seeds)[int(rng.integers(len(seeds)))]
    return name, target.change(seeds[name], rng, list(seeds.values()))


def main() -> None:
    name, (start, stop, seed), top = sys.argv[1], map(int, sys.argv[2:5]), Path(sys.argv[5])
    faulthandler.enable()
    silence()
    target = (TARGETS | FAILING)[name]
    folder = Path(os.path.realpath(top)) / "case"
    os.chdir(top)

    def emptied() -> Path:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    seeds = target.seeds(emptied())
    # Right files are taken; and what is loaded once is loaded now.
    for right, data in seeds.items():
        if right != "fer2013new.csv":
            target.run(data, right, emptied())
    guard = Guard()
    say("ready")
    for case in range(start, stop):
        source, data = case_data(target, seeds, [seed, zlib.crc32(name.encode()), case])
        emptied()
        say("case", case=case)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began, problem, outcome = time.process_time(), None, "answered"
        guard.folder, guard.seen = str(folder), []
        try:
            target.run(data, source, folder)
        except Refused:
            outcome = "refused"
        except BaseException:
            problem = traceback.format_exc()
        guard.folder = None
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if guard.seen:
            problem = f"outside its folder: {guard.seen[:5]}"
        elif grown > _MEMORY:
            problem = f"it took {grown // 1000} MB of memory"
        if problem:
            outcome = "failed"
            (top / f"{name}-{case}-{source}").write_bytes(data)
        seconds = time.process_time() - began
        say("done", case=case, outcome=outcome, seconds=round(seconds, 3), problem=problem)


def say(what: str, **more: Any) -> None:
    print(json.dumps({"what": what, **more}), flush=True)


if __name__ == "__main__":
    main()
