"""Measure transfer to new labels from few images, compared with random weights.

    python benchmarks/transfer.py --data fer2013.npz

A network is trained on half of FER2013's Training with its 7 labels. On 5, 20 and 100 images per
class of the other half, with the 8 labels of FER+ (contempt is new), the same network is then
fitted twice: in two phases from those weights, and from random weights with as many epochs and the
default rate of the optimizer. Balanced accuracy on PublicTest without the images that are also in
Training is measured for 5 samples, which are the same for both.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import _results
import keras
import numpy as np
from _rules import copies
from scipy import stats
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from skfer import FacialExpressionClassifier
from skfer.datasets import load_fer2013, load_ferplus

SIZES = (5, 20, 100)
N_DRAWS = 5
# Settings of the first network: the first phase of the shipped weights.
RECIPE = {
    "network": "mini_resnet",
    "batch_size": 128,
    "optimizer": keras.optimizers.SGD(momentum=0.9, nesterov=True, weight_decay=5e-4),
    "learning_rate": 0.1,
    "schedule": "cosine",
    "weight_average": 0.999,
    "augment": {
        "flip": True,
        "rotation": 12.0,
        "shift": 0.08,
        "zoom": 0.12,
        "brightness": 0.1,
        "contrast": 0.25,
        "blur": 0.4,
        "erasing": 0.4,
    },
}
# Chosen in advance, not tuned: first the head, then all layers at a tenth of the rate.
FEW = {
    "network": "mini_resnet",
    "epochs": 30,
    "batch_size": 32,
    "schedule": None,
    "augment": "light",
    "mixed_precision": "auto",
}


def data(path: Path, seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return half of Training with 7 labels, and the other half and PublicTest with 8."""
    faces = load_ferplus(path)
    fer2013 = load_fer2013(path)
    indices = np.searchsorted(fer2013.row, faces.row)
    half, other = train_test_split(
        faces.train_index,
        test_size=0.5,
        stratify=faces.target[faces.train_index],
        random_state=seed,
    )
    other = other[~copies(faces.images[other], faces.images[half])]
    test = faces.public_test_index
    test = test[~copies(faces.images[test], faces.images[faces.train_index])]
    return {
        "half": (faces.images[half], fer2013.labels[indices[half]]),
        "other": (faces.images[other], faces.labels[other]),
        "test": (faces.images[test], faces.labels[test]),
    }


def sample_classes(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return the indices of a number of images of each class."""
    generator = np.random.default_rng(seed)
    return np.concatenate(
        [generator.choice(np.flatnonzero(y == name), n, replace=False) for name in np.unique(y)]
    )


def interval(values: list[float]) -> list[float]:
    """Return the 95 % interval of the mean over the samples (Student's t)."""
    low, high = stats.t.interval(
        0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values)
    )
    return [round(float(low), 4), round(float(high), 4)]


def make_classifier(
    start: FacialExpressionClassifier | None, seed: int
) -> FacialExpressionClassifier:
    if start is None:
        return FacialExpressionClassifier(**FEW, random_state=seed)
    return FacialExpressionClassifier(
        **FEW, weights=FrozenEstimator(start), fine_tune={"frozen_epochs": 10}, random_state=seed
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013 with votes, as .npz")
    parser.add_argument("--epochs", type=int, default=8, help="of the network on 7 classes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    parts = data(arguments.data, arguments.seed)
    (X, y), (X_test, y_test) = parts["other"], parts["test"]
    source = FacialExpressionClassifier(
        **RECIPE,
        epochs=arguments.epochs,
        mixed_precision="auto",
        random_state=arguments.seed,
        checkpoint_dir=Path(__file__).parent / "checkpoints",
        verbose=2,
    ).fit(*parts["half"])

    rows = []
    for size in SIZES:
        scores: dict[str, list[float]] = {"transfer": [], "scratch": []}
        for draw in range(N_DRAWS):
            sample = sample_classes(y, size, draw)
            for name, start in (("transfer", source), ("scratch", None)):
                classifier = make_classifier(start, draw).fit(X[sample], y[sample])
                score = balanced_accuracy_score(y_test, classifier.predict(X_test))
                scores[name].append(round(float(score), 4))
        gains = np.subtract(scores["transfer"], scores["scratch"]).tolist()
        row = {"images_a_class": size, **scores} | {
            f"{name}_interval": interval(values)
            for name, values in {**scores, "gain": gains}.items()
        }
        rows.append(row)
        print(
            f"{size:4} images per class: transfer {np.mean(scores['transfer']):.3f} "
            f"{row['transfer_interval']}, scratch {np.mean(scores['scratch']):.3f} "
            f"{row['scratch_interval']}, gain {np.mean(gains):+.3f} {row['gain_interval']}",
            flush=True,
        )
    _results.write(
        "transfer",
        {
            "score": "balanced accuracy, 8 classes",
            "images": {name: len(labels) for name, (_, labels) in parts.items()},
            "epochs_on_half": arguments.epochs,
            "few": FEW | {"fine_tune": {"frozen_epochs": 10}},
            "draws": N_DRAWS,
            "seed": arguments.seed,
            "rows": rows,
            "versions": _results.versions(),
        },
    )


if __name__ == "__main__":
    main()
