"""Measure how many of the labels that `label_report` flags are wrong.

    python benchmarks/label_quality.py --data fer2013.npz

On FER2013's PublicTest, a flag is right if another expression has more votes of FER+ than the
label. Images that are also in Training are left out, because the weights that compute the features
were fitted on Training with its labels and votes. Features without FER+ would be less accurate.
Copies within PublicTest are in one fold.

In the second part, labels of drawn faces are replaced, so that the wrong ones are known.

The contact sheet with images of FER2013 is written to ``build/``.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import _results
import numpy as np
from _rules import copies
from scipy.stats import binomtest
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import (
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skfer import ExpressionEmbedder, HOGDescriptor, load_pretrained
from skfer.datasets import load_fer2013, load_ferplus, make_faces
from skfer.evaluation import cross_val_label_report, label_noise, label_report, votes_on_report

SHEET = Path(__file__).parent.parent / "build" / "label_quality.png"
N_FOLDS = 5
TOPS = (50, 100, 200, 400)
SHARES = (0.05, 0.1, 0.2)
# Chosen in advance, not tuned.
PUBLIC_TEST_CLASSIFIER = {"C": 0.01, "max_iter": 1000}
DRAWN_CLASSIFIER = {"C": 0.1, "max_iter": 1000}


def public_test(data: Path) -> dict[str, Any]:
    """Return PublicTest without copies of Training, with FER2013's labels and FER+'s votes."""
    fer2013, ferplus = (load(data, usage="PublicTest") for load in (load_fer2013, load_ferplus))
    rows = np.searchsorted(fer2013.row, ferplus.row)
    new = ~copies(ferplus.images, load_fer2013(data, usage="Training").images)
    images = ferplus.images[new]
    _, group = np.unique(images.reshape(len(images), -1), axis=0, return_inverse=True)
    return {
        "images": images,
        "labels": fer2013.labels[rows][new],
        "votes": ferplus.votes[new],
        "choices": ferplus.target_names,
        "group": group,
        "left_out": {"no_expression": ferplus.n_dropped, "also_in_training": int((~new).sum())},
    }


def share(mask: np.ndarray) -> dict[str, Any]:
    """Return the share of true values with its 95 % interval (Wilson)."""
    interval = binomtest(int(mask.sum()), len(mask)).proportion_ci(method="wilson")
    return {
        "images": len(mask),
        "share": round(float(mask.mean()), 4),
        "interval": [round(float(interval.low), 4), round(float(interval.high), 4)],
    }


def pretrained_features() -> ExpressionEmbedder:
    """Return an embedder with the shipped network."""
    return ExpressionEmbedder(FrozenEstimator(load_pretrained("fer2013")[1:]))


def measure_public_test(faces: dict[str, Any]) -> dict[str, Any]:
    features = pretrained_features().fit_transform(faces["images"])
    classifier = make_pipeline(StandardScaler(), LogisticRegression(**PUBLIC_TEST_CLASSIFIER))
    proba = cross_val_predict(
        classifier,
        features,
        faces["labels"],
        groups=faces["group"],
        cv=StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0),
        method="predict_proba",
    )
    names = np.unique(faces["labels"])
    report = label_report(faces["labels"], proba)
    table = votes_on_report(report, faces["votes"], labels=faces["choices"])

    row = report["row"].to_numpy()
    column = np.searchsorted(faces["choices"], report["given"])
    votes = faces["votes"][row]
    wrong = votes.max(axis=1) > votes[np.arange(len(row)), column]
    most = faces["choices"][votes.argmax(axis=1)]
    flagged = report["issue"].to_numpy()
    differs = names[proba.argmax(axis=1)][row] != report["given"]
    noise = label_noise(faces["labels"], proba)
    draw(report, faces["images"])
    return {
        "part": "PublicTest, FER+ expressions, without copies",
        "left_out": faces["left_out"],
        "classifier": PUBLIC_TEST_CLASSIFIER | {"features": "pretrained fer2013"},
        "folds": N_FOLDS,
        "accuracy": round(float((~differs).mean()), 4),
        "votes": table.round(4).reset_index(names="part").to_dict("records"),
        "another_has_more_votes": {
            "flagged": share(wrong[flagged]),
            "others": share(wrong[~flagged]),
            "all": share(wrong),
            "other_prediction": share(wrong[differs]),
            "other_prediction_not_flagged": share(wrong[differs & ~flagged]),
        },
        "first": {str(top): share(wrong[:top]) for top in TOPS},
        "recall": round(float(flagged[wrong].mean()), 4),
        "suggestion_has_most_votes": share((most == report["suggested"])[flagged]),
        "estimated_noise": round(float(1 - np.trace(noise)), 4),
        "flagged_by_label": {
            str(name): int(count)
            for name, count in report["given"][flagged].value_counts().sort_index().items()
        },
    }


def draw(report: Any, images: np.ndarray) -> None:
    """Write the contact sheet of the most doubtful labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from skfer.inspection import LabelReportDisplay

    SHEET.parent.mkdir(exist_ok=True)
    display = LabelReportDisplay.from_report(report, images, n_images=10)
    display.figure_.savefig(SHEET, dpi=110)
    plt.close(display.figure_)
    print(f"contact sheet: {SHEET}")


def replace_labels(
    labels: np.ndarray, part: float, kind: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels with some replaced, by random ones or by the next one, and a mask of these."""
    rng = np.random.default_rng(seed)
    names, codes = np.unique(labels, return_inverse=True)
    wrong = np.zeros(len(labels), bool)
    wrong[rng.choice(len(labels), round(part * len(labels)), replace=False)] = True
    steps = 1 if kind == "next" else rng.integers(1, len(names), len(labels))
    return names[(codes + steps * wrong) % len(names)], wrong


def measure_drawn_faces(n: int, n_seeds: int) -> dict[str, Any]:
    classifier = make_pipeline(
        StandardScaler(), PCA(100, random_state=0), LogisticRegression(**DRAWN_CLASSIFIER)
    )
    descriptors = {"HOG": HOGDescriptor(), "pretrained fer2013": pretrained_features()}
    accuracies: dict[str, list[float]] = {name: [] for name in descriptors}
    rows = []
    for seed in range(n_seeds):
        faces = make_faces(n, random_state=seed)
        cv = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
        for name, descriptor in descriptors.items():
            features = descriptor.fit_transform(faces.images)
            scores = cross_val_score(classifier, features, faces.labels, cv=cv)
            accuracies[name].append(round(float(scores.mean()), 4))
            for kind, part in itertools.product(("any other", "next"), SHARES):
                y, wrong = replace_labels(faces.labels, part, kind, seed)
                report = cross_val_label_report(classifier, features, y, cv=cv)
                rows.append(
                    {"features": name, "seed": seed, "replaced_by": kind, "share": part}
                    | compare_flags(report, wrong, faces.labels)
                )
                print(rows[-1], flush=True)
    return {
        "images": n,
        "classes": 7,
        "folds": N_FOLDS,
        "classifier": DRAWN_CLASSIFIER | {"pca": 100},
        "accuracy_on_right_labels": accuracies,
        "rows": rows,
    }


def compare_flags(report: Any, wrong: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Compare the flags and the wrong predictions of the model with the replaced labels."""
    wrong, truth = wrong[report["row"]], truth[report["row"]]
    flagged = report["issue"].to_numpy()
    differs = (report["margin"] < 0).to_numpy()
    correct = report["suggested"].to_numpy() == truth
    figures = {
        "precision": wrong[flagged].mean(),
        "recall": flagged[wrong].mean(),
        "r_precision": wrong[: wrong.sum()].mean(),
        "average_precision": average_precision_score(wrong, -report["rank"]),
        "suggestion_correct": correct[flagged & wrong].mean(),
        "precision_of_other_prediction": wrong[differs].mean(),
        "recall_of_other_prediction": differs[wrong].mean(),
    }
    return {"flagged": int(flagged.sum())} | {
        name: round(float(value), 4) for name, value in figures.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="FER2013 with votes, as .npz")
    parser.add_argument("--drawn", type=int, default=2000, help="number of drawn faces")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds of drawn faces")
    arguments = parser.parse_args()
    real = measure_public_test(public_test(arguments.data))
    print(real, flush=True)
    drawn = measure_drawn_faces(arguments.drawn, arguments.seeds)
    _results.write(
        "label_quality",
        {"public_test": real, "drawn_faces": drawn, "versions": _results.versions()},
    )


if __name__ == "__main__":
    main()
