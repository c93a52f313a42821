"""Measure the shipped weights on PublicTest and write their model cards.

    python benchmarks/model_card.py --data fer2013.npz

It writes ``docs/models/NAME.md``, its plots in ``docs/models/images/`` and its figures in
``benchmarks/results/model_card_NAME.json``. PrivateTest is not used.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _results
import numpy as np
from _card_text import card_text
from _rules import copies, paper_majority
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    recall_score,
)
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline

from skfer import list_pretrained, load_pretrained
from skfer.datasets import load_fer2013, load_ferplus
from skfer.evaluation import robustness_report
from skfer.metrics import (
    apply_class_prior,
    apply_temperature,
    coverage_curve,
    expected_calibration_error,
    fit_temperature,
    threshold_for_coverage,
)

DOCS = Path(__file__).parent.parent / "docs" / "models"
VIEWS = (None, "flip", "ten")
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
ALL = "all"
COPIES = "without copies"
PAPER = "majority as in the FER+ paper"


@dataclass
class TestSet:
    """Test images with labels, and the subsets whose accuracy is stated."""

    images: np.ndarray
    labels: np.ndarray
    subsets: dict[str, np.ndarray]
    counts: dict[str, Any] = field(default_factory=dict)


def fer2013(data: Path) -> TestSet:
    training, test = (load_fer2013(data, usage=part) for part in ("Training", "PublicTest"))
    new = ~copies(test.images, training.images)
    return TestSet(
        test.images,
        test.labels,
        {ALL: np.ones(len(new), bool), COPIES: new},
        counts(training.labels, test.labels, new),
    )


def ferplus(data: Path) -> TestSet:
    training, test = (load_ferplus(data, usage=part) for part in ("Training", "PublicTest"))
    fer2013 = {part: load_fer2013(data, usage=part) for part in ("Training", "PublicTest")}
    new = ~copies(test.images, fer2013["Training"].images)
    # The votes of load_fer2013 have all ten columns; load_ferplus drops two.
    rows = np.searchsorted(fer2013["PublicTest"].row, test.row)
    majority = paper_majority(fer2013["PublicTest"].votes[rows])
    numbers = counts(training.labels, test.labels, new)
    numbers["dropped"] = int(test.n_dropped)
    numbers["paper_majority"] = int(majority.sum())
    return TestSet(
        test.images,
        test.labels,
        {
            ALL: np.ones(len(new), bool),
            COPIES: new,
            PAPER: majority,
            f"{PAPER}, {COPIES}": majority & new,
        },
        numbers,
    )


DATA = {"fer2013": fer2013, "ferplus": ferplus}


def counts(training: np.ndarray, test: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    return {
        "training": {str(name): int((training == name).sum()) for name in np.unique(training)},
        "test": {str(name): int((test == name).sum()) for name in np.unique(test)},
        "copies": int((~new).sum()),
    }


def probabilities(pipeline: Pipeline, test_set: TestSet) -> dict[str | None, np.ndarray]:
    """Return the probabilities at temperature 1, by test-time augmentation."""
    faces, classifier = pipeline[1:], pipeline[-1]
    before = classifier.temperature, classifier.test_time_augmentation
    proba = {}
    for views in VIEWS:
        classifier.set_params(temperature=1.0, test_time_augmentation=views)
        proba[views] = faces.predict_proba(test_set.images)
    classifier.set_params(temperature=before[0], test_time_augmentation=before[1])
    return proba


def accuracies(
    test_set: TestSet, classes: np.ndarray, proba: dict[str | None, np.ndarray]
) -> list[dict[str, Any]]:
    """Return a row for each subset: number of images, and accuracy by test-time augmentation."""
    rows = []
    for name, mask in test_set.subsets.items():
        row: dict[str, Any] = {"subset": name, "images": int(mask.sum())}
        for views, values in proba.items():
            correct = classes[values.argmax(axis=1)] == test_set.labels
            row[views or "none"] = round(float(correct[mask].mean()), 4)
        # Half of the 95 % interval.
        share = row["none"]
        row["half_interval"] = round(1.96 * (share * (1 - share) / row["images"]) ** 0.5, 4)
        rows.append(row)
    return rows


def by_class(test_set: TestSet, classes: np.ndarray, proba: np.ndarray) -> list[dict[str, Any]]:
    predicted = classes[proba.argmax(axis=1)]
    precision, recall, f1, support = precision_recall_fscore_support(
        test_set.labels, predicted, labels=classes, zero_division=0
    )
    return [
        {
            "class": str(name),
            "images": int(support[code]),
            "recall": round(float(recall[code]), 4),
            "precision": round(float(precision[code]), 4),
            "f1": round(float(f1[code]), 4),
        }
        for code, name in enumerate(classes)
    ]


def prior_row(
    prior: str, test_set: TestSet, classes: np.ndarray, proba: np.ndarray
) -> dict[str, Any]:
    """Return accuracy, balanced accuracy and recall of each class for one `class_prior`."""
    predicted = classes[proba.argmax(axis=1)]
    recalls = recall_score(test_set.labels, predicted, labels=classes, average=None)
    return {
        "class_prior": prior,
        "accuracy": round(accuracy_score(test_set.labels, predicted), 4),
        "balanced_accuracy": round(float(recalls.mean()), 4),
        "recall": dict(zip(classes.tolist(), recalls.round(4).tolist(), strict=True)),
    }


def calibration(
    labels: np.ndarray, classes: np.ndarray, proba: np.ndarray, shipped: float
) -> dict[str, Any]:
    """Return the calibration error as trained, as shipped and with the other half's temperature."""
    halves = train_test_split(
        np.arange(len(labels)), test_size=0.5, stratify=labels, random_state=0
    )
    crossed = []
    for fitted, measured in (halves, halves[::-1]):
        temperature = fit_temperature(labels[fitted], proba[fitted], labels=classes)
        tempered = apply_temperature(proba[measured], temperature)
        crossed.append(
            {
                "temperature": round(temperature, 3),
                "images": len(measured),
                "before": round(error(labels[measured], proba[measured], classes), 4),
                "after": round(error(labels[measured], tempered, classes), 4),
            }
        )
    return {
        "at_temperature_1": round(error(labels, proba, classes), 4),
        "shipped_temperature": shipped,
        "as_shipped": round(error(labels, apply_temperature(proba, shipped), classes), 4),
        "halves": crossed,
    }


def error(labels: np.ndarray, proba: np.ndarray, classes: np.ndarray) -> float:
    return expected_calibration_error(labels, proba, labels=classes)


def coverage(labels: np.ndarray, classes: np.ndarray, proba: np.ndarray) -> list[dict[str, float]]:
    covered, accuracy, thresholds = coverage_curve(labels, proba, labels=classes)
    rows = []
    for share in COVERAGES:
        threshold = threshold_for_coverage(proba, share)
        index = int(np.flatnonzero(thresholds >= threshold)[-1])
        rows.append(
            {
                "threshold": round(threshold, 3),
                "answered": round(float(covered[index]), 4),
                "accuracy": round(float(accuracy[index]), 4),
            }
        )
    return rows


def measure(
    pipeline: Pipeline, model: dict[str, Any], test_set: TestSet, *, corruptions: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all figures of a card, and the data of its plots."""
    classifier = pipeline[-1]
    classes, shipped = classifier.classes_, float(classifier.temperature_)
    uniform = np.full(len(classes), 1 / len(classes))
    proba = probabilities(pipeline, test_set)
    plain = proba[None]
    tempered = apply_temperature(plain, shipped)
    whole = pipeline.predict(test_set.images)
    report = robustness_report(
        pipeline[1:],
        test_set.images,
        test_set.labels,
        corruptions=corruptions,
        scoring=["accuracy", "balanced_accuracy"],
    )
    figures = {
        "model": model,
        "counts": test_set.counts,
        "accuracy": accuracies(test_set, classes, proba),
        "whole_pipeline": round(float((whole == test_set.labels).mean()), 4),
        "by_class": by_class(test_set, classes, plain),
        "class_prior": [
            prior_row("none", test_set, classes, tempered),
            prior_row(
                "uniform",
                test_set,
                classes,
                apply_class_prior(tempered, classifier.class_prior_, uniform),
            ),
        ],
        "calibration": {
            views or "none": calibration(test_set.labels, classes, values, shipped)
            for views, values in proba.items()
            if views != "ten"
        },
        "coverage": coverage(test_set.labels, classes, tempered),
        "robustness": json.loads(report.round(4).to_json(orient="records")),
        "versions": _results.versions(),
    }
    confusion = confusion_matrix(
        test_set.labels, classes[plain.argmax(axis=1)], labels=classes, normalize="true"
    )
    pictures = {"confusion": confusion, "plain": plain, "tempered": tempered, "report": report}
    return figures, pictures


def draw(
    name: str, folder: Path, test_set: TestSet, classes: np.ndarray, pictures: dict[str, Any]
) -> None:
    """Write the plots of a card as PNG files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from sklearn.metrics import ConfusionMatrixDisplay

    from skfer.inspection import CoverageDisplay, ReliabilityDisplay, RobustnessDisplay

    folder.mkdir(parents=True, exist_ok=True)
    _, axis = plt.subplots(figsize=(6, 5.2), layout="constrained")
    ConfusionMatrixDisplay(pictures["confusion"], display_labels=classes).plot(
        ax=axis, cmap="Blues", values_format=".2f", xticks_rotation=45, im_kw={"vmin": 0, "vmax": 1}
    )
    axis.set(xlabel="predicted", ylabel="label")
    figures = {"confusion": axis.figure}
    display = ReliabilityDisplay.from_predictions(
        test_set.labels, pictures["plain"], labels=classes, name="temperature 1"
    )
    ReliabilityDisplay.from_predictions(
        test_set.labels, pictures["tempered"], labels=classes, name="as shipped", ax=display.ax_
    )
    figures["calibration"] = display.figure_
    figures["coverage"] = CoverageDisplay.from_predictions(
        test_set.labels, pictures["tempered"], labels=classes
    ).figure_
    figures["robustness"] = RobustnessDisplay(pictures["report"]).plot().figure_
    for kind, figure in figures.items():
        figure.savefig(folder / f"{name}_{kind}.png", dpi=110)
        plt.close(figure)


def write_card(
    name: str,
    pipeline: Pipeline,
    model: dict[str, Any],
    test_set: TestSet,
    docs: Path,
    **options: Any,
) -> dict[str, Any]:
    """Measure, plot and write one card; return the figures."""
    figures, pictures = measure(pipeline, model, test_set, **options)
    draw(name, docs / "images", test_set, pipeline[-1].classes_, pictures)
    (docs / f"{name}.md").write_text(card_text(figures), encoding="utf-8")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="weights; all if none is named")
    parser.add_argument("--data", type=Path, help="FER2013 with votes, as .npz")
    parser.add_argument(
        "--again", action="store_true", help="write the text from the stored figures"
    )
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the cards")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.again:
        parser.error("--data is needed to measure")
    models = {model["name"]: model for model in list_pretrained()}
    for name in arguments.names or DATA:
        if arguments.again:
            figures = _results.read(f"model_card_{name}") | {"model": models[name]}
            (arguments.docs / f"{name}.md").write_text(card_text(figures), encoding="utf-8")
            continue
        test_set = DATA[name.removesuffix("-small")](arguments.data)
        figures = write_card(name, load_pretrained(name), models[name], test_set, arguments.docs)
        _results.write(f"model_card_{name}", figures)
        print(f"written to {arguments.docs / name}.md")


if __name__ == "__main__":
    main()
