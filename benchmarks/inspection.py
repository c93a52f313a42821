"""Measure the quality and the speed of explanation maps.

    python benchmarks/inspection.py --data fer2013.npz

Maps of the pretrained network are compared with random maps by deletion and insertion, on a random
sample of FER2013's PublicTest. The time of saliency for 1000 drawn faces is compared with an epoch
of `fit` on as many, in alternation. Results are in ``benchmarks/results/inspection.json``.
PrivateTest is not used.

Squares of 4 x 4 pixels are replaced by the blurred image (``--baseline mean``: its mean) in 10
steps. This size was chosen on images of Training: with single pixels, saliency was better than
random by 0.03, and with squares by 0.09. One random map is noise for each pixel, the other an
enlarged map of 6 x 6 values, as coarse as a feature map.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import _results
import cv2
import numpy as np
from sklearn.pipeline import Pipeline

from skfer import FacialExpressionClassifier, load_pretrained
from skfer.datasets import load_fer2013, make_faces
from skfer.inspection import (
    deletion_score,
    grad_cam,
    insertion_score,
    occlusion_sensitivity,
    region_importance,
    saliency,
)

N_STEPS = 10
COARSE = 6
N_BOOTSTRAPS = 2000
RANDOM = ("random", "coarse random")
# Wanted: area of a random map minus that of the map; time of saliency relative to that of fit.
WANTED = {"deletion_gain": 0.05, "saliency_speed": 0.3}


def compute_maps(pipeline: Pipeline, images: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Compute maps of every kind and two random ones, by name, and print the times."""
    functions: dict[str, Callable] = {
        "saliency": saliency,
        "saliency, smooth=10": lambda *data: saliency(*data, smooth=10),
        "grad_cam": grad_cam,
        "occlusion_sensitivity": occlusion_sensitivity,
    }
    maps = {}
    for name, function in functions.items():
        start = time.perf_counter()
        maps[name] = function(pipeline, images).maps
        print(f"{name}: {time.perf_counter() - start:.1f} s", flush=True)
    n, height, width = maps["saliency"].shape
    rng = np.random.default_rng(seed)
    maps["random"] = rng.random((n, height, width))
    coarse = rng.random((n, COARSE, COARSE))
    maps["coarse random"] = np.stack(
        [cv2.resize(map_, (width, height), interpolation=cv2.INTER_CUBIC) for map_ in coarse]
    )
    return maps


def interval(values: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Return the 95 % bootstrap interval of the mean over images."""
    rows = rng.integers(0, len(values), (N_BOOTSTRAPS, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), (0.025, 0.975))
    return [round(float(low), 4), round(float(high), 4)]


def compare_maps(
    pipeline: Pipeline, images: np.ndarray, maps: dict[str, np.ndarray], baseline: str, seed: int
) -> list[dict]:
    """Return a row for each map: its areas, and the difference to those of random maps."""
    rows, areas = [], {}
    for name, values in maps.items():
        areas[name] = [
            score(pipeline, images, values, n_steps=N_STEPS, baseline=baseline)
            for score in (deletion_score, insertion_score)
        ]
    rng = np.random.default_rng(seed)
    for name, (deleted, inserted) in areas.items():
        row = {
            "map": name,
            "deletion": round(float(deleted.mean()), 4),
            "insertion": round(float(inserted.mean()), 4),
        }
        for random in () if name in RANDOM else RANDOM:
            by_random = areas[random]
            row[f"compared with {random}"] = {
                key: {"mean": round(float(gain.mean()), 4), "interval": interval(gain, rng)}
                for key, gain in {
                    "deletion_gain": by_random[0] - deleted,
                    "insertion_gain": inserted - by_random[1],
                }.items()
            }
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row: dict) -> str:
    text = f"{row['map']:22} deletion {row['deletion']:.3f}"
    for random in RANDOM:
        if f"compared with {random}" in row:
            gain = row[f"compared with {random}"]["deletion_gain"]
            low, high = gain["interval"]
            text += f", compared with {random} {gain['mean']:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"{text}; insertion {row['insertion']:.3f}"


def speeds(network: str, n_images: int, rounds: int, seed: int) -> dict:
    """Time an epoch of fit and saliency maps of as many images, in alternation."""
    faces = make_faces(n_images, random_state=seed)
    classifier = FacialExpressionClassifier(
        network, epochs=1, batch_size=64, augment=None, warm_start=True, random_state=seed
    )
    fits, maps = [], []
    for _ in range(rounds + 1):
        for seconds, function in (
            (fits, lambda: classifier.fit(faces.images, faces.labels)),
            (maps, lambda: saliency(classifier, faces.images)),
        ):
            start = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - start)
    ratios = [fit / map_ for fit, map_ in zip(fits, maps, strict=True)]
    return {
        "network": network,
        "images": n_images,
        "fit_seconds": [round(seconds, 2) for seconds in fits],
        "saliency_seconds": [round(seconds, 2) for seconds in maps],
        # Each fit creates new graphs, which are traced again.
        "ratio": round(statistics.median(ratios), 2),
        "ratios_from_to": [round(min(ratios), 2), round(max(ratios), 2)],
        "wanted": WANTED["saliency_speed"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013, as .npz")
    parser.add_argument("--images", type=int, default=500, help="number of images of PublicTest")
    parser.add_argument(
        "--baseline", default="blur", help="replacement of deleted pixels: blur or mean"
    )
    parser.add_argument("--rounds", type=int, default=2, help="number of measurements")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    speed = speeds("mini_resnet", 1000, arguments.rounds, arguments.seed)
    print(speed, flush=True)

    test = load_fer2013(arguments.data, usage="PublicTest")
    rng = np.random.default_rng(arguments.seed)
    indices = np.sort(rng.choice(len(test.images), arguments.images, replace=False))
    images, labels = test.images[indices], test.labels[indices]
    pipeline = load_pretrained("fer2013")[1:]  # FER2013's images are faces
    maps = compute_maps(pipeline, images, arguments.seed)
    rows = compare_maps(pipeline, images, maps, arguments.baseline, arguments.seed)
    importance = region_importance(pipeline, images, labels, random_state=arguments.seed)
    regions = {
        name: {"drop": round(float(mean), 4), "deviation": round(float(deviation), 4)}
        for name, mean, deviation in zip(
            importance.regions, importance.importances_mean, importance.importances_std, strict=True
        )
    }
    print(f"accuracy {importance.score:.3f}; accuracy drops by region: {regions}", flush=True)
    _results.write(
        "inspection",
        {
            "model": "fer2013",
            "data": f"{arguments.images} images of PublicTest",
            "seed": arguments.seed,
            "steps": N_STEPS,
            "baseline": arguments.baseline,
            "wanted_deletion_gain": WANTED["deletion_gain"],
            "rows": rows,
            "regions": {"score": round(importance.score, 4), "drops": regions},
            "speed": speed,
            "load_before": round(load, 1),
            "versions": _results.versions(),
        },
    )


if __name__ == "__main__":
    main()
