"""Compare the default classifier with HOG and an SVC, on few and many images.

    python benchmarks/defaults.py --data fer2013.npz --sizes 200 --seeds 0 1 2
    python benchmarks/defaults.py --data fer2013.npz --sizes 2000 --seeds 0 1

Each system is fitted on a random sample of FER2013's Training and measured on the same 1,500 images
of PublicTest. The systems are `FacialExpressionClassifier()`, the same with ``weights="fer2013"``,
and HOG with an SVC. The defaults were chosen on other images of Training. A new row replaces that
of the same system, number of images and seed.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _results
import numpy as np
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skfer import FacialExpressionClassifier, HOGDescriptor
from skfer.datasets import load_fer2013

N_TEST = 1_500
SYSTEMS: dict[str, Callable[[int], Any]] = {
    "default": lambda seed: FacialExpressionClassifier(random_state=seed),
    "weights": lambda seed: FacialExpressionClassifier(weights="fer2013", random_state=seed),
    "hog_svc": lambda seed: make_pipeline(HOGDescriptor(), SVC()),
}


def sample_images(path: Path, size: int, seed: int) -> tuple[np.ndarray, ...]:
    """Sample images of Training; return them and the test images, with labels."""
    faces = load_fer2013(path)
    train = np.random.default_rng(seed).permutation(faces.train_index)[:size]
    test = np.random.default_rng(0).permutation(faces.public_test_index)[:N_TEST]
    return (
        faces.images[train],
        faces.labels[train],
        faces.images[test],
        faces.labels[test],
    )


def time_fit(system: Any, X: np.ndarray, y: np.ndarray) -> dict[str, float | int]:
    """Fit a system and return the times."""
    start, cpu = time.perf_counter(), time.process_time()
    system.fit(X, y)
    row: dict[str, float | int] = {
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "seconds": round(time.perf_counter() - start, 1),
    }
    return row | ({"epochs": system.n_iter_} if hasattr(system, "n_iter_") else {})


def store_row(key: dict[str, Any], row: dict[str, Any]) -> None:
    """Insert a row into the result, or replace the one with the same key."""
    before = (_results.read("defaults") or {}).get("rows", [])
    others = [old for old in before if any(old[name] != key[name] for name in key)]
    rows = sorted([*others, key | row], key=lambda old: [old[name] for name in key])
    _results.write("defaults", {"test_images": N_TEST, "rows": rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013, as .npz")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2_000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    arguments = parser.parse_args()

    for seed, name, size in itertools.product(arguments.seeds, arguments.systems, arguments.sizes):
        X, y, X_test, y_test = sample_images(arguments.data, size, seed)
        system = SYSTEMS[name](seed)
        times = time_fit(system, X, y)
        score = accuracy_score(y_test, system.predict(X_test))
        key = {"system": name, "images": size, "seed": seed}
        row = {"accuracy": round(float(score), 4), **times, "versions": _results.versions()}
        print(key | row, flush=True)
        store_row(key, row)


if __name__ == "__main__":
    main()
