"""Measure `FacialAffectRegressor` on drawn faces and on FER2013.

    python benchmarks/affect.py [--data fer2013.npz]

On drawn faces, whose valence and arousal are known, a regressor is compared with a classifier of
the same network, images and epochs, whose probabilities are mapped by `expressions_to_affect`.

FER2013 has no ratings: with ``--data``, a regressor starts from the "ferplus" weights and learns
the mapped votes of FER+ for a few epochs. These targets contain no more than the votes. The figures
are those of PublicTest without the images that are also in Training. The weights were chosen on
PublicTest.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import _results
import numpy as np
from _rules import copies, drop_single_votes
from sklearn.metrics import root_mean_squared_error

from skfer import (
    FacialAffectRegressor,
    FacialExpressionClassifier,
    expressions_to_affect,
    load_pretrained,
)
from skfer.datasets import load_ferplus, make_faces
from skfer.metrics import concordance_correlation, sign_agreement

NOISE, OCCLUSION, POSE = 0.05, 0.2, 20.0
TRAINING_SEED, TEST_SEEDS = 0, (1, 2, 3)
# Chosen in advance, not tuned.
DRAWN_PARAMETERS = {
    "network": "mini_resnet",
    "batch_size": 32,
    "learning_rate": 2e-3,
    "schedule": "one_cycle",
    "augment": "flip",
    "mixed_precision": "auto",
    "random_state": 0,
}
FER2013_PARAMETERS = {
    "network": "mini_resnet",
    "weights": "ferplus",
    "batch_size": 64,
    "schedule": None,
    "loss": "concordance",
    "fine_tune": {"frozen_epochs": 1},
    "augment": "light",
    "mixed_precision": "auto",
    "random_state": 0,
}
NAMES = ("valence", "arousal")


def figures(y: np.ndarray, predicted: np.ndarray) -> dict[str, dict[str, float]]:
    """Return concordance, error and sign agreement of valence and arousal."""
    measures = {
        "concordance": concordance_correlation,
        "rmse": root_mean_squared_error,
        "sign_agreement": sign_agreement,
    }
    return {
        measure: {
            name: round(float(value), 4)
            for name, value in zip(
                NAMES, function(y, predicted, multioutput="raw_values"), strict=True
            )
        }
        for measure, function in measures.items()
    }


def draw_faces(n_faces: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images, their valence and arousal, and their labels."""
    faces = make_faces(n_faces, noise=NOISE, occlusion=OCCLUSION, pose=POSE, random_state=seed)
    return faces.images, np.column_stack([faces.valence, faces.arousal]), faces.labels


def measure_drawn_faces(n_faces: int, epochs: int) -> dict:
    X, y, labels = draw_faces(n_faces, TRAINING_SEED)
    start = time.perf_counter()
    regressor = FacialAffectRegressor(**DRAWN_PARAMETERS, epochs=epochs, loss="concordance").fit(
        X, y
    )
    seconds = time.perf_counter() - start
    classifier = FacialExpressionClassifier(**DRAWN_PARAMETERS, epochs=epochs).fit(X, labels)
    rows = []
    for seed in TEST_SEEDS:
        X, y, labels = draw_faces(1000, seed)
        mapped = expressions_to_affect(classifier.predict_proba(X), classifier.classes_)
        rows.append(
            {
                "seed": seed,
                "regressor": figures(y, regressor.predict(X)),
                "class_probabilities": figures(y, mapped),
                "classifier_accuracy": round(classifier.score(X, labels), 4),
            }
        )
        print(rows[-1], flush=True)
    return {
        "faces": {"noise": NOISE, "occlusion": OCCLUSION, "pose": POSE},
        "training_faces": n_faces,
        "training_seed": TRAINING_SEED,
        "epochs": epochs,
        "seconds_of_fit": round(seconds, 1),
        "parameters": _results.plain(DRAWN_PARAMETERS) | {"loss": "concordance"},
        "tests": rows,
    }


def measure_fer2013(path: Path, n_faces: int, epochs: int) -> dict:
    faces = load_ferplus(path)
    votes = drop_single_votes(faces.votes)
    voted = votes.sum(axis=1) > 0
    train = faces.train_index[voted[faces.train_index]]
    test = faces.public_test_index[voted[faces.public_test_index]]
    test = test[~copies(faces.images[test], faces.images[faces.train_index])]
    train = np.random.default_rng(0).choice(train, n_faces, replace=False)
    names = faces.target_names
    X, y = faces.images[train], expressions_to_affect(votes[train], names)
    X_test, y_test = faces.images[test], expressions_to_affect(votes[test], names)
    classifier = load_pretrained("ferplus")[-1]
    mapped = expressions_to_affect(classifier.predict_proba(X_test), classifier.classes_)
    regressor = FacialAffectRegressor(**FER2013_PARAMETERS, epochs=epochs).fit(X, y)
    result = {
        "targets": "weak: shares of FER+'s votes, mapped by expressions_to_affect",
        "training_images": len(train),
        "test_images": len(test),
        "epochs": epochs,
        "parameters": FER2013_PARAMETERS,
        "regressor": figures(y_test, regressor.predict(X_test)),
        "class_probabilities": figures(y_test, mapped),
    }
    print(result, flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faces", type=int, default=3000, help="drawn faces to train on")
    parser.add_argument("--epochs", type=int, default=12, help="epochs on drawn faces")
    parser.add_argument("--data", type=Path, help="FER2013 with votes, as .npz")
    parser.add_argument(
        "--real-faces", type=int, default=4000, help="images of FER2013 to train on"
    )
    parser.add_argument("--real-epochs", type=int, default=3)
    arguments = parser.parse_args()
    drawn = measure_drawn_faces(arguments.faces, arguments.epochs)
    _results.update("affect", "drawn_faces", drawn)
    if arguments.data:
        real = measure_fer2013(arguments.data, arguments.real_faces, arguments.real_epochs)
        _results.update("affect", "fer2013", real)


if __name__ == "__main__":
    main()
