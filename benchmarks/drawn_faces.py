"""Check that drawn faces are difficult for pixels, learnable for a CNN, and detected by Haar.

    python benchmarks/drawn_faces.py

At the default difficulty of `make_faces`, it prints the accuracy of logistic regression on pixels
(wanted: below 0.7) and of ``cnn4`` (above 0.9) on new faces, the share of faces that Haar detects
in scenes (at least 0.9), and the median overlap of the boxes (at least 0.5).
"""

from __future__ import annotations

import argparse
import time

import _results
import numpy as np
from sklearn.linear_model import LogisticRegression

from skfer import FaceCropper, FacialExpressionClassifier
from skfer.datasets import make_faces


def logistic_regression(n_train: int) -> float:
    train = make_faces(n_train, random_state=0)
    test = make_faces(1000, random_state=1)
    model = LogisticRegression(C=0.1, max_iter=200)
    model.fit(train.images.reshape(n_train, -1) / 255, train.labels)
    return model.score(test.images.reshape(1000, -1) / 255, test.labels)


def cnn4(n_train: int, epochs: int) -> float:
    train = make_faces(n_train, random_state=0)
    test = make_faces(1000, random_state=1)
    classifier = FacialExpressionClassifier(
        "cnn4",
        epochs=epochs,
        batch_size=64,
        learning_rate=5e-4,
        schedule=None,
        augment=None,
        mixed_precision="auto",
        random_state=0,
        verbose=2,
    )
    return classifier.fit(train.images, train.labels).score(test.images, test.labels)


def haar(n_scenes: int) -> tuple[float, float]:
    """Return the share of detected faces and the median overlap of the best boxes."""
    scenes = make_faces(n_scenes, scene=True, random_state=0)
    detections = FaceCropper().detect(scenes.images)
    overlaps = [
        max((overlap(box, truth) for box in faces.boxes), default=0.0)
        for faces, truth in zip(detections, scenes.boxes, strict=True)
    ]
    return float(np.mean(np.array(overlaps) > 0.3)), float(np.median(overlaps))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the intersection over union of two boxes (x, y, width, height)."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(a[2:])) + float(np.prod(b[2:])) - shared)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=3000, help="faces to train on")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of cnn4")
    parser.add_argument("--scenes", type=int, default=300)
    arguments = parser.parse_args()
    start = time.perf_counter()
    recall, median = haar(arguments.scenes)
    result = {
        "logistic regression on pixels": round(logistic_regression(arguments.faces), 3),
        "cnn4": round(cnn4(arguments.faces, arguments.epochs), 3),
        "Haar, faces found (overlap above 0.3)": round(recall, 3),
        "Haar, median overlap": round(median, 3),
        "training faces": arguments.faces,
        "epochs of cnn4": arguments.epochs,
        "scenes": arguments.scenes,
        "versions": _results.versions(),
    }
    for name, value in result.items():
        print(f"{name:<40}{value}")
    print(f"{time.perf_counter() - start:.0f} s")
    _results.write("drawn_faces", result)


if __name__ == "__main__":
    main()
