"""Cases of one target, in a process that may crash: worker.py TARGET START STOP SEED FOLDER.

Prints the number of each case before it and its outcome after it, as lines of JSON. Memory is
measured for each case alone. A case fails that raises an undocumented error, takes or keeps too
much memory, leaves files or threads behind, writes outside its folder, starts a program or opens a
connection. `run.py` adds the time, the exit status, and what C code writes and connects to.
"""

import contextlib
import faulthandler
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path

import numpy as np
from failing import FAILING
from targets import TARGETS, Refused, finish, silence

# Megabytes a case may take, may keep, and all cases of a process may keep together.
_MEMORY, _KEPT, _KEPT_BY_ALL = 1500, 200, 800
_THREADS = 8
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_CHANGES = {
    *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "shutil.move"),
}
_NEVER = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect"}
# The package's own child processes, and the connections of a client to the page's server.
ALLOWED = ("from skfer._worker import _serve", "_model_file import _predict_once", "127.0.0.1")


class Guard:
    def __init__(self):
        self.folder = None
        self.seen = []
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self.folder is None:
            return
        if event in _NEVER:
            if not any(allowed in repr(arguments) for allowed in ALLOWED):
                self.seen.append(f"{event} {arguments[0]!r}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes) and flags & _WRITING:
                self._check(path, "writes")
        elif event in _CHANGES and isinstance(arguments[0], str | bytes):
            self._check(arguments[0], event)

    def _check(self, path, what):
        if not os.path.isabs(path):
            return  # of an open folder, which only strace names
        place = os.path.realpath(os.fsdecode(path))
        if place != "/dev/null" and not place.startswith(f"{self.folder}{os.sep}"):
            self.seen.append(f"{what} {place}")


def memory(name):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) // 1000
    return 0


def open_files():
    found = set()
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
    return {one for one in found if not one.endswith("/fd")}


def threads():
    return len(os.listdir("/proc/self/task"))


def case_data(target, seeds, number):
    rng = np.random.default_rng(number)
    name = sorted(seeds)[int(rng.integers(len(seeds)))]
    return name, target.change(seeds[name], rng, list(seeds.values()))


def left_behind(files, n_threads, before, first):
    for _ in range(20):
        new = open_files() - files
        more = threads() - n_threads
        if not new and more <= _THREADS:
            break
        gc.collect()
        time.sleep(0.1)
    if new:
        return f"it leaves files open: {sorted(new)[:5]}"
    if more > _THREADS:
        return f"it leaves {more} threads"
    if (now := memory("VmRSS")) > min(before + _KEPT, first + _KEPT_BY_ALL):
        gc.collect()
        now = memory("VmRSS")
    if now > before + _KEPT:
        return f"it keeps {now - before} MB of memory"
    if now > first + _KEPT_BY_ALL:
        return f"cases keep {now - first} MB of memory together"
    return None


def main():
    name, (start, stop, seed), top = sys.argv[1], map(int, sys.argv[2:5]), Path(sys.argv[5])
    faulthandler.enable()
    silence()
    target = (TARGETS | FAILING)[name]
    folder = Path(os.path.realpath(top)) / "case"
    os.chdir(top)
    say = _speaker()

    temporary = folder / "tmp"
    os.environ["TMPDIR"] = tempfile.tempdir = str(temporary)

    def emptied():
        shutil.rmtree(folder, ignore_errors=True)
        temporary.mkdir(parents=True)
        return folder

    seeds = target.seeds(emptied())
    # Right files are accepted; and what is loaded once is loaded now.
    for right, data in seeds.items():
        try:
            target.run(data, right, emptied())
        except Refused:
            if right not in ("fer2013new.csv", "pam"):
                raise
    guard = Guard()
    say("ready")
    first, kept = memory("VmRSS"), 0
    for case in range(start, stop):
        source, data = case_data(target, seeds, [seed, zlib.crc32(name.encode()), case])
        emptied()
        Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
        before, files, n_threads = memory("VmRSS"), open_files(), threads()
        say("case", case=case)
        _mark(f"case/{case}")
        began, problem, outcome = time.process_time(), None, "answered"
        guard.folder, guard.seen = str(folder), []
        try:
            target.run(data, source, folder)
        except Refused:
            outcome = "refused"
        except BaseException:
            problem = traceback.format_exc()
        guard.folder = None
        _mark("end")
        seconds, taken = time.process_time() - began, memory("VmHWM") - before
        if guard.seen:
            problem = f"outside its folder: {guard.seen[:5]}"
        elif taken > _MEMORY:
            problem = f"it takes {taken} MB of memory"
        elif left := [path.name for path in temporary.iterdir()]:
            problem = f"it leaves temporary files: {left[:5]}"
        problem = problem or left_behind(files, n_threads, before, first)
        kept = memory("VmRSS") - first
        if problem:
            outcome = "failed"
            (top / f"{name}-{case}-{source}").write_bytes(data)
            first = min(first + _KEPT_BY_ALL, memory("VmRSS"))  # told once
        figures = {"seconds": round(seconds, 3), "taken": taken, "kept": kept}
        say("done", case=case, outcome=outcome, problem=problem, **figures)


def _mark(what):
    with contextlib.suppress(OSError):
        os.open(f"/fuzz/{what}", os.O_RDONLY)


def _speaker():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(what, **more):
        print(json.dumps({"what": what, **more}), file=out, flush=True)

    return say


if __name__ == "__main__":
    try:
        main()
    finally:
        finish()
