"""Measure the shipped weights on several data sets, find copies in FER2013, and check coverage.

    python benchmarks/evaluation.py --data fer2013.npz

It writes ``docs/evaluation.md``, its plots in ``docs/images/`` and its figures in
``benchmarks/results/evaluation.json``. Contact sheets with images of FER2013, which may not be
distributed, are written to ``build/``. PrivateTest is not used.

The data sets are FER2013's PublicTest (with and without the images that have a copy in Training),
the same images with the labels of FER+, and a folder with the layout and file names of CK+. Its
images are drawn faces, 30 people per expression with 3 frames each, which differ by noise. They
test labels, names and groups.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import _results
import cv2
import numpy as np
from _evaluation_page import page
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from skfer import ConformalClassifier, list_pretrained, load_pretrained
from skfer.datasets import (
    EXPRESSIONS,
    load_fer2013,
    load_ferplus,
    load_image_folder,
    make_faces,
)
from skfer.evaluation import corrupt_images, cross_dataset_matrix, group_report, leak_audit

ROOT = Path(__file__).parent.parent
PEOPLE, FRAMES = 30, 3
N_SPLITS, CALIBRATING = 50, 0.5
CONFIDENCES = (0.8, 0.9, 0.95)
METHODS = (("lac", False), ("aps", False), ("lac", True))
KINDS = ("copy", "near copy", "mirrored copy")


class PrecomputedClassifier(ClassifierMixin, BaseEstimator):
    """Classifier whose inputs are probabilities, which are computed once for all splits."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return X


class CachedClassifier(ClassifierMixin, BaseEstimator):
    """Fitted model that predicts each image once, since the data sets share images."""

    def __init__(self, model):
        self.model = model
        self.classes_ = model.classes_
        self._cache = {}

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        keys = [x.tobytes() if isinstance(x, np.ndarray) else str(x) for x in X]
        new = [i for i, key in enumerate(keys) if key not in self._cache]
        if new:
            proba = self.model.predict_proba([X[i] for i in new])
            self._cache |= {keys[i]: row for i, row in zip(new, proba, strict=True)}
        return np.stack([self._cache[key] for key in keys])


def write_drawn_faces(root: Path, people: int = PEOPLE) -> Path:
    """Write drawn faces to files named as in CK+, and return the folder."""
    faces = make_faces(people * len(EXPRESSIONS), classes=list(EXPRESSIONS), random_state=0)
    for frame in range(FRAMES):
        images = corrupt_images(faces.images, "noise", 0.02, random_state=frame)[..., 0]
        for person, (image, label) in enumerate(zip(images, faces.labels, strict=True)):
            folder = root / label
            folder.mkdir(exist_ok=True)
            clip = EXPRESSIONS.index(label) + 1
            cv2.imwrite(str(folder / f"S{person:03d}_{clip:03d}_{frame + 1:08d}.png"), image)
    return root


def conformal(proba: np.ndarray, labels: np.ndarray, n_splits: int = N_SPLITS) -> list[dict]:
    """Return the mean coverage and size of sets over random halves for calibration and test."""
    frozen = FrozenEstimator(PrecomputedClassifier().fit(proba, labels))
    splits = [
        train_test_split(np.arange(len(labels)), train_size=CALIBRATING, random_state=seed)
        for seed in range(n_splits)
    ]
    rows = []
    for method, per_class in METHODS:
        sets = ConformalClassifier(frozen, method=method, per_class=per_class)
        scores: dict[float, list] = {confidence: [] for confidence in CONFIDENCES}
        by_class: dict[float, list] = {confidence: [] for confidence in CONFIDENCES}
        for calibrating, test in splits:
            sets.fit(proba[calibrating], labels[calibrating])
            for confidence in CONFIDENCES:
                sets.set_params(confidence=confidence)
                predicted = sets.predict_set(proba[test])
                score = sets.set_score(proba[test], labels[test])
                scores[confidence].append(score)
                codes = np.searchsorted(sets.classes_, labels[test])
                covered = predicted[np.arange(len(test)), codes]
                by_class[confidence].append(
                    [covered[codes == code].mean() for code in range(len(sets.classes_))]
                )
            sets.set_params(confidence=CONFIDENCES[0])
        for confidence in CONFIDENCES:
            coverage = np.array([score.coverage for score in scores[confidence]])
            rows.append(
                {
                    "method": method,
                    "per_class": per_class,
                    "stated": confidence,
                    "coverage": round(float(coverage.mean()), 4),
                    "deviation": round(float(coverage.std(ddof=1)), 4),
                    "lowest_class": round(float(np.mean(by_class[confidence], axis=0).min()), 4),
                    "mean_size": round(
                        float(np.mean([s.mean_size for s in scores[confidence]])), 3
                    ),
                    "single": round(float(np.mean([s.single for s in scores[confidence]])), 4),
                    "splits": n_splits,
                    "images": len(test),
                }
            )
    return rows


def leak_figures(audit: Bunch, training: Bunch, test: Bunch) -> dict[str, Any]:
    """Return the counts of an audit, and the rows of its pairs if the data has row numbers."""
    pairs = audit.pairs
    differ = pairs["label_test"] != pairs["label_train"]
    row_of = [
        part.row if "row" in part else np.arange(len(part.images)) for part in (test, training)
    ]
    return {
        "counts": audit.counts,
        "labels_differ": {kind: int(differ[pairs["kind"] == kind].sum()) for kind in KINDS},
        # Row of the test image, row of the training image, kind, similarity.
        "pairs": [
            f"{row_of[0][a]} {row_of[1][b]} {kind} {likeness:.3f}"
            for a, b, kind, likeness in pairs[["test", "train", "kind", "similarity"]].to_numpy()
        ],
    }


def leak_gaps(
    models: dict[str, Any], proba: dict[str, np.ndarray], test: Bunch, leaked: np.ndarray
) -> list[dict]:
    """Return the accuracy on images with and without a copy, for models with FER2013's labels."""
    rows = []
    for name, model in models.items():
        if set(model.classes_) != set(test.labels):
            continue
        predicted = model.classes_[proba[name].argmax(axis=1)]
        groups = np.where(leaked, "leaked", "unseen")
        report = group_report(test.labels, predicted, groups=groups)
        gap = report.gaps.iloc[0]
        accuracy = report.groups[report.groups["class"] == "all"].set_index("group")["value"]
        rows.append(
            {
                "model": name,
                "all": round(float((predicted == test.labels).mean()), 4),
                "leaked": round(float(accuracy["leaked"]), 4),
                "unseen": round(float(accuracy["unseen"]), 4),
                **{key: round(float(gap[key]), 4) for key in ("gap", "low", "high", "p_value")},
            }
        )
    return rows


def draw(
    matrix: Any,
    audit: Bunch,
    training: Bunch,
    test: Bunch,
    proba: np.ndarray,
    docs: Path,
    build: Path,
) -> None:
    """Draw the plots of the page and the contact sheets."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skfer.inspection import CrossDatasetDisplay, LeakDisplay, PredictionSetDisplay

    images = docs / "images"
    images.mkdir(parents=True, exist_ok=True)
    build.mkdir(parents=True, exist_ok=True)
    display = CrossDatasetDisplay(matrix).plot()
    display.figure_.savefig(images / "cross_dataset.png", dpi=110)
    rows, others = train_test_split(np.arange(len(proba)), train_size=CALIBRATING, random_state=0)
    sets = ConformalClassifier(FrozenEstimator(PrecomputedClassifier().fit(proba, test.labels)))
    sets.fit(proba[rows], test.labels[rows])
    sets_display = PredictionSetDisplay.from_estimator(sets, proba[others], test.labels[others])
    sets_display.figure_.savefig(images / "prediction_sets.png", dpi=110)
    for kind in KINDS:
        if audit.counts[kind]:
            sheet = LeakDisplay.from_audit(
                audit, training.images, test.images, kind=kind, n_pairs=48, random_state=0
            )
            path = build / f"leaks_{kind.replace(' ', '_')}.png"
            sheet.figure_.savefig(path, dpi=110)
            print(f"written to {path}")
    plt.close("all")


def measure(
    training: Bunch,
    test: Bunch,
    ferplus: Bunch,
    models: dict[str, Any],
    *,
    people: int = PEOPLE,
    n_splits: int = N_SPLITS,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all figures of the page, and the data of its plots."""
    audit = leak_audit(training.images, test.images, y_train=training.labels, y_test=test.labels)
    models = {name: CachedClassifier(model) for name, model in models.items()}
    unseen = Bunch(images=test.images[~audit.leaked], labels=test.labels[~audit.leaked])
    proba = {name: model.predict_proba(test.images) for name, model in models.items()}
    first = next(name for name in models if set(models[name].classes_) == set(test.labels))
    with tempfile.TemporaryDirectory() as folder:
        drawn = load_image_folder(write_drawn_faces(Path(folder), people), names="ck+")
        matrix = cross_dataset_matrix(
            models,
            {
                "PublicTest": test,
                "PublicTest without leaks": unseen,
                "FER+ of PublicTest": ferplus,
                "drawn, as CK+": drawn,
            },
        )
    figures = {
        "matrix": json.loads(matrix.round(4).to_json(orient="records")),
        "leaks": leak_figures(audit, training, test),
        "leak_gaps": leak_gaps(models, proba, test, audit.leaked),
        "conformal": {"model": first, "rows": conformal(proba[first], test.labels, n_splits)},
        "people": people,
        "frames": FRAMES,
        "versions": _results.versions(),
    }
    return figures, {"matrix": matrix, "audit": audit, "proba": proba[first]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="FER2013 with votes, as .npz")
    parser.add_argument(
        "--again", action="store_true", help="write the page from the stored figures"
    )
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="for contact sheets")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.again:
        parser.error("--data is needed to measure")
    if arguments.again:
        figures = _results.read("evaluation")
    else:
        training, test = (
            load_fer2013(arguments.data, usage=part) for part in ("Training", "PublicTest")
        )
        # Without the cropper: the images are faces.
        models = {model["name"]: load_pretrained(model["name"])[1:] for model in list_pretrained()}
        figures, pictures = measure(
            training, test, load_ferplus(arguments.data, usage="PublicTest"), models
        )
        _results.write("evaluation", figures)
        draw(training=training, test=test, docs=arguments.docs, build=arguments.build, **pictures)
    (arguments.docs / "evaluation.md").write_text(page(figures), encoding="utf-8")
    print(f"written to {arguments.docs / 'evaluation.md'}")


if __name__ == "__main__":
    main()
