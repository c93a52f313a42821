"""Compare histogram equalisation, CLAHE and no change of the contrast as input of a network.

    python benchmarks/contrast.py --data fer2013.npz

The same network is trained on Training with each value of `GrayscaleResizer.equalize`, with equal
seed, augmentation and number of epochs, and measured on PublicTest without the images that are
also in Training: unchanged, and with the corruptions of `robustness_report`. Images are corrupted
before the contrast is changed, as those of a camera would be. Results are written after every fit
to ``benchmarks/results/contrast.json``; fits in that file are not repeated.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import _results
import keras
import pandas as pd
from _rules import copies
from sklearn.pipeline import make_pipeline

from skfer import FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import load_fer2013
from skfer.evaluation import robustness_report

METHODS = ("none", "histogram", "clahe")
RECIPE = {
    "network": "mini_resnet",
    "network_params": {"width": 0.5},
    "epochs": 8,
    "batch_size": 128,
    "optimizer": keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
    "learning_rate": 0.1,
    "schedule": "one_cycle",
    "weight_average": 0.999,
    "augment": "strong",
}


def measure(equalize: str, training, test, seed: int) -> dict:
    """Fit one pipeline and return its scores."""
    start = time.perf_counter()
    pipeline = make_pipeline(
        GrayscaleResizer(48, equalize=equalize),
        FacialExpressionClassifier(**RECIPE, random_state=seed),
    ).fit(*training)
    seconds = time.perf_counter() - start
    report = robustness_report(pipeline, *test, scoring=["accuracy", "balanced_accuracy"])
    return {
        "equalize": equalize,
        "seed": seed,
        "minutes": round(seconds / 60, 1),
        "scores": report.round(4).to_dict("records"),
    }


def table(results: list[dict]) -> str:
    """Format the mean accuracy over seeds and levels: unchanged and for each corruption."""
    scores = pd.concat([pd.DataFrame(r["scores"]).assign(equalize=r["equalize"]) for r in results])
    means = scores.pivot_table("accuracy", "corruption", "equalize", sort=False)
    means.loc["mean of the corruptions"] = means.drop(index="none", errors="ignore").mean()
    return (100 * means).round(1).to_string()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013 as .npz")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    faces = load_fer2013(arguments.data, usage=["Training", "PublicTest"])
    is_training = faces.usage == "Training"
    training = faces.images[is_training], faces.labels[is_training]
    new = ~copies(faces.images[~is_training], training[0])
    test = faces.images[~is_training][new], faces.labels[~is_training][new]
    result = _results.read("contrast") or {"fits": []}
    result["recipe"] = _results.plain(RECIPE)
    result["images"] = {"Training": len(training[1]), "PublicTest without copies": len(test[1])}
    result["versions"] = _results.versions()
    done = {(fit["equalize"], fit["seed"]) for fit in result["fits"]}
    for seed in arguments.seeds:
        for equalize in METHODS:
            if (equalize, seed) not in done:
                result["fits"].append(measure(equalize, training, test, seed))
                _results.write("contrast", result)
    print(table(result["fits"]))


if __name__ == "__main__":
    main()
