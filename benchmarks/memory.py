"""Measure the growth of memory over many fits in one process, as in a search.

    python benchmarks/memory.py

A new classifier is fitted and deleted repeatedly. The resident memory after each fit is written to
``benchmarks/results/memory.json``. The slope is that after the first five fits, which fill caches.
"""

from __future__ import annotations

import argparse
import gc
import os
from pathlib import Path

import _results
import numpy as np

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces

WANTED = 5.0  # MB per fit
WARM_UP = 5


def resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure(network: str, n_fits: int, n_images: int) -> list[float]:
    """Return the resident memory in MB after each fit with predictions."""
    faces = make_faces(n_images, random_state=0)
    held_out = n_images // 4
    memory = []
    for seed in range(n_fits):
        classifier = FacialExpressionClassifier(network, epochs=1, batch_size=64, random_state=seed)
        classifier.fit(faces.images[held_out:], faces.labels[held_out:])
        classifier.predict_proba(faces.images[:held_out])
        del classifier
        gc.collect()
        memory.append(round(resident_megabytes(), 1))
        print(f"fit {seed + 1}: {memory[-1]:.0f} MB", flush=True)
    return memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="little_vgg")
    parser.add_argument("--fits", type=int, default=30)
    parser.add_argument("--images", type=int, default=200)
    arguments = parser.parse_args()
    if arguments.fits < WARM_UP + 5:
        parser.error(f"--fits must be at least {WARM_UP + 5}: the first {WARM_UP} are left out.")

    memory = measure(arguments.network, arguments.fits, arguments.images)
    growth, _ = np.polyfit(np.arange(WARM_UP, len(memory)), memory[WARM_UP:], deg=1)
    result = {
        "network": arguments.network,
        "images": arguments.images,
        "megabytes_after_each_fit": memory,
        "megabytes_per_fit": round(float(growth), 2),
        "wanted": WANTED,
        "versions": _results.versions(),
    }
    print(f"{growth:.2f} MB per fit after the first {WARM_UP}; wanted <= {WANTED:g}")
    _results.write("memory", result)


if __name__ == "__main__":
    main()
