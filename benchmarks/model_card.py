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
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
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
class Judged:
    """Test images with labels, and the subsets whose accuracy is stated."""

    images: np.ndarray
    labels: np.ndarray
    subsets: dict[str, np.ndarray]
    counts: dict[str, Any] = field(default_factory=dict)


def fer2013(data: Path) -> Judged:
    training, test = (load_fer2013(data, usage=part) for part in ("Training", "PublicTest"))
    new = ~copies(test.images, training.images)
    return Judged(
        test.images,
        test.labels,
        {ALL: np.ones(len(new), bool), COPIES: new},
        counts(training.labels, test.labels, new),
    )


def ferplus(data: Path) -> Judged:
    training, test = (load_ferplus(data, usage=part) for part in ("Training", "PublicTest"))
    every = {part: load_fer2013(data, usage=part) for part in ("Training", "PublicTest")}
    new = ~copies(test.images, every["Training"].images)
    # All ten columns; load_ferplus leaves out two.
    row = np.searchsorted(every["PublicTest"].row, test.row)
    majority = paper_majority(every["PublicTest"].votes[row])
    found = counts(training.labels, test.labels, new)
    found["dropped"] = int(test.n_dropped)
    found["paper_majority"] = int(majority.sum())
    return Judged(
        test.images,
        test.labels,
        {
            ALL: np.ones(len(new), bool),
            COPIES: new,
            PAPER: majority,
            f"{PAPER}, {COPIES}": majority & new,
        },
        found,
    )


DATA = {"fer2013": fer2013, "ferplus": ferplus}


def counts(training: np.ndarray, test: np.ndarray, new: np.ndarray) -> dict[str, Any]:
    return {
        "training": {str(name): int((training == name).sum()) for name in np.unique(training)},
        "test": {str(name): int((test == name).sum()) for name in np.unique(test)},
        "copies": int((~new).sum()),
    }


def probabilities(pipeline: Pipeline, judged: Judged) -> dict[str | None, np.ndarray]:
    """Probabilities at temperature 1, by test-time augmentation."""
    faces = Pipeline(pipeline.steps[1:])
    before = faces.get_params()
    found = {}
    for views in VIEWS:
        faces.set_params(classifier__temperature=1.0, classifier__test_time_augmentation=views)
        found[views] = faces.predict_proba(judged.images)
    names = ("classifier__temperature", "classifier__test_time_augmentation")
    faces.set_params(**{name: before[name] for name in names})
    return found


def accuracies(
    judged: Judged, classes: np.ndarray, proba: dict[str | None, np.ndarray]
) -> list[dict[str, Any]]:
    """Return a row for each subset: number of images, and accuracy by test-time augmentation."""
    rows = []
    for name, chosen in judged.subsets.items():
        row: dict[str, Any] = {"subset": name, "images": int(chosen.sum())}
        for views, answers in proba.items():
            right = classes[answers.argmax(axis=1)] == judged.labels
            row[views or "none"] = round(float(right[chosen].mean()), 4)
        # Half of the 95 % interval.
        share = row["none"]
        row["half_interval"] = round(1.96 * (share * (1 - share) / row["images"]) ** 0.5, 4)
        rows.append(row)
    return rows


def by_class(judged: Judged, classes: np.ndarray, proba: np.ndarray) -> list[dict[str, Any]]:
    said = classes[proba.argmax(axis=1)]
    precision, recall, f1, support = precision_recall_fscore_support(
        judged.labels, said, labels=classes, zero_division=0
    )
    return [
        {
            "class": str(name),
            "images": int(support[place]),
            "recall": round(float(recall[place]), 4),
            "precision": round(float(precision[place]), 4),
            "f1": round(float(f1[place]), 4),
        }
        for place, name in enumerate(classes)
    ]


def prior_row(prior: str, judged: Judged, classes: np.ndarray, proba: np.ndarray) -> dict[str, Any]:
    """Accuracy, balanced accuracy and recall of each class for one `class_prior`."""
    right = classes[proba.argmax(axis=1)] == judged.labels
    recalls = {str(name): float(right[judged.labels == name].mean()) for name in classes}
    return {
        "class_prior": prior,
        "accuracy": round(float(right.mean()), 4),
        "balanced_accuracy": round(float(np.mean(list(recalls.values()))), 4),
        "recall": {name: round(value, 4) for name, value in recalls.items()},
    }


def calibration(
    labels: np.ndarray, classes: np.ndarray, proba: np.ndarray, shipped: float
) -> dict[str, Any]:
    """Calibration error as trained, as shipped, and with the temperature of the other half."""
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
        place = int(np.flatnonzero(thresholds >= threshold)[-1])
        rows.append(
            {
                "threshold": round(threshold, 3),
                "answered": round(float(covered[place]), 4),
                "accuracy": round(float(accuracy[place]), 4),
            }
        )
    return rows


def measured(
    pipeline: Pipeline, model: dict[str, Any], judged: Judged, *, corruptions: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return all figures of a card, and the data of its plots."""
    classifier = pipeline[-1]
    classes, shipped = classifier.classes_, float(classifier.temperature_)
    even = np.full(len(classes), 1 / len(classes))
    proba = probabilities(pipeline, judged)
    plain = proba[None]
    tempered = apply_temperature(plain, shipped)
    whole = pipeline.predict(judged.images)
    faces = Pipeline(pipeline.steps[1:])
    report = robustness_report(
        faces,
        judged.images,
        judged.labels,
        corruptions=corruptions,
        scoring=["accuracy", "balanced_accuracy"],
    )
    figures = {
        "model": model,
        "counts": judged.counts,
        "accuracy": accuracies(judged, classes, proba),
        "whole_pipeline": round(float((whole == judged.labels).mean()), 4),
        "by_class": by_class(judged, classes, plain),
        "class_prior": [
            prior_row("none", judged, classes, tempered),
            prior_row(
                "uniform",
                judged,
                classes,
                apply_class_prior(tempered, classifier.class_prior_, even),
            ),
        ],
        "calibration": {
            views or "none": calibration(judged.labels, classes, answers, shipped)
            for views, answers in proba.items()
            if views != "ten"
        },
        "coverage": coverage(judged.labels, classes, tempered),
        "robustness": json.loads(report.round(4).to_json(orient="records")),
        "versions": _results.versions(),
    }
    confusion = confusion_matrix(
        judged.labels, classes[plain.argmax(axis=1)], labels=classes, normalize="true"
    )
    pictures = {"confusion": confusion, "plain": plain, "tempered": tempered, "report": report}
    return figures, pictures


def draw(
    name: str, folder: Path, judged: Judged, classes: np.ndarray, pictures: dict[str, Any]
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
    axis.set(xlabel="answer", ylabel="label")
    figures = {"confusion": axis.figure}
    display = ReliabilityDisplay.from_predictions(
        judged.labels, pictures["plain"], labels=classes, name="temperature 1"
    )
    ReliabilityDisplay.from_predictions(
        judged.labels, pictures["tempered"], labels=classes, name="as shipped", ax=display.ax_
    )
    figures["calibration"] = display.figure_
    figures["coverage"] = CoverageDisplay.from_predictions(
        judged.labels, pictures["tempered"], labels=classes
    ).figure_
    figures["robustness"] = RobustnessDisplay(pictures["report"]).plot().figure_
    for what, figure in figures.items():
        figure.savefig(folder / f"{name}_{what}.png", dpi=110)
        plt.close(figure)


def write_card(
    name: str, pipeline: Pipeline, model: dict[str, Any], judged: Judged, docs: Path, **options: Any
) -> dict[str, Any]:
    """Measure, plot and write one card; return the figures."""
    figures, pictures = measured(pipeline, model, judged, **options)
    draw(name, docs / "images", judged, pipeline[-1].classes_, pictures)
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
    for name in arguments.names or models:
        if arguments.again:
            figures = _results.read(f"model_card_{name}") | {"model": models[name]}
            (arguments.docs / f"{name}.md").write_text(card_text(figures), encoding="utf-8")
            continue
        judged = DATA[name](arguments.data)
        figures = write_card(name, load_pretrained(name), models[name], judged, arguments.docs)
        _results.write(f"model_card_{name}", figures)
        print(f"written to {arguments.docs / name}.md")


if __name__ == "__main__":
    main()
