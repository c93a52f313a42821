"""Give wrong files to everything that reads files, in processes that are watched.

    python tests/fuzz/run.py --cases 20000 --output benchmarks/results/fuzz.json

A case fails if it raises what isn't documented, takes more than 5 seconds of processor time (or
five minutes by the clock, in which it may wait for its turn), needs more than 1.5 GB, writes
outside its folder, or ends its process. Files of failed cases are kept in the folder that is
printed. The exit code is the number of failures, up to 99.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SECONDS_OF_PROCESSOR = 5.0
SECONDS_BY_CLOCK = 300.0
_START_UP = 300.0
_CHUNK = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--targets", nargs="*", help="names; all by default")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    given = parser.parse_args()
    began = time.monotonic()
    shares = _shares(given.targets)
    total = sum(shares.values())
    chunks = []
    for name, share in shares.items():
        cases = round(given.cases * share / total)
        chunks += [(name, at, min(at + _CHUNK, cases)) for at in range(0, cases, _CHUNK)]
    top = Path(tempfile.mkdtemp(prefix="skfer-fuzz-"))
    with ThreadPoolExecutor(given.jobs) as pool:
        results = list(pool.map(lambda chunk: _run(*chunk, given.seed, top), chunks))
    figures = _figures(shares, [record for records in results for record in records])
    figures |= {
        "seed": given.seed,
        "seconds": round(time.monotonic() - began),
        "python": platform.python_version(),
    }
    print(json.dumps(figures, indent=1))
    if given.output:
        given.output.write_text(json.dumps(figures, indent=1) + "\n")
    if figures["failures"]:
        print(f"Files of failed cases: {top}", file=sys.stderr)
    else:
        shutil.rmtree(top)
    return min(len(figures["failures"]), 99)


def _shares(chosen: list[str] | None) -> dict[str, float]:
    sys.path.insert(0, str(HERE))
    from failing import FAILING
    from targets import TARGETS

    names = chosen or list(TARGETS)
    return {name: (TARGETS | FAILING)[name].share for name in names}


def _run(name: str, start: int, stop: int, seed: int, top: Path) -> list[dict[str, Any]]:
    """All cases of a chunk; a process that ends early is started anew behind the case."""
    records: list[dict[str, Any]] = []
    while start < stop:
        folder = Path(tempfile.mkdtemp(dir=top))
        with (folder / "errors.txt").open("w+b") as errors:
            ended = _watch(name, start, stop, seed, folder, errors, records)
            if ended is None:
                break
            errors.seek(0)
            told = errors.read().decode(errors="replace")[-3000:]
        case, why = ended
        failed = {"target": name, "case": case, "outcome": "failed", "seconds": 0.0}
        records.append(failed | {"problem": f"{why}\n{told}"})
        if case is None:  # it never began: the next one wouldn't either
            break
        start = case + 1
    return records


def _watch(
    name: str, start: int, stop: int, seed: int, folder: Path, errors: Any, records: list
) -> tuple[int | None, str] | None:
    """Read what a worker says; the case in which it ended, and how, if it did before its time."""
    script, numbers = str(HERE / "worker.py"), map(str, (start, stop, seed))
    command = [sys.executable, script, name, *numbers, str(folder)]
    environment = os.environ | {
        "PYTHONDONTWRITEBYTECODE": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OPENCV_LOG_LEVEL": "OFF",
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    assert worker.stdout is not None
    case, since, used, limit = None, time.monotonic(), 0.0, _START_UP
    pending, finished = b"", False
    try:
        while True:
            if select.select([worker.stdout], [], [], 0.5)[0]:
                piece = os.read(worker.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *lines, pending = (pending + piece).split(b"\n")
                for line in filter(None, lines):
                    said = json.loads(line)
                    since, used = time.monotonic(), _processor_seconds(worker.pid)
                    limit = SECONDS_BY_CLOCK
                    if said["what"] == "case":
                        case = said["case"]
                    elif said["what"] == "done":
                        records.append({"target": name, **said})
                        finished = said["case"] == stop - 1
            elif finished:  # what a process does when it ends is no part of its last case
                continue
            elif case is not None and _processor_seconds(worker.pid) - used > SECONDS_OF_PROCESSOR:
                return case, f"it takes more than {SECONDS_OF_PROCESSOR:g} s"
            elif time.monotonic() - since > limit:
                return case, f"it takes more than {limit:g} s by the clock"
        status = worker.wait()
        return None if status == 0 else (case, f"the process ended with {status}")
    finally:
        worker.kill()
        worker.wait()


def _processor_seconds(pid: int) -> float:
    with contextlib.suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _figures(shares: dict[str, float], records: list[dict[str, Any]]) -> dict[str, Any]:
    targets = {}
    for name in shares:
        own = [record for record in records if record["target"] == name]
        outcomes = Counter(record["outcome"] for record in own)
        targets[name] = {
            "cases": len(own),
            **{outcome: outcomes[outcome] for outcome in ("refused", "answered", "failed")},
            "slowest_seconds": max((record["seconds"] for record in own), default=0.0),
        }
    failures = [
        {key: record[key] for key in ("target", "case", "problem")}
        for record in records
        if record["outcome"] == "failed"
    ]
    return {"cases": len(records), "targets": targets, "failures": failures}


if __name__ == "__main__":
    sys.exit(main())
