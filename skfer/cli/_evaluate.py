"""``skfer evaluate``: how well a model does on labelled photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from skfer._utils import printable
from skfer.cli._data import load_labelled
from skfer.cli._models import find_detector, load_model
from skfer.cli._options import data_options, detector_option, echo, model_option


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@model_option
@detector_option
@click.option(
    "--usage",
    help="The part of FER2013: PublicTest, PrivateTest, Training; Validation or Test where it is "
    "called so.  [default: PublicTest, or else Validation or Test]",
)
@click.option("--faces", is_flag=True, help="The images are faces already: look for none in them.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@data_options
def evaluate(
    data: Path,
    model: str | None,
    detector: str | None,
    usage: str | None,
    faces: bool,
    as_json: bool,
    **labels: Any,
) -> None:
    """Compare a model's answers with labels.

    DATA is a folder that has a folder of images for each class, or FER2013, as for skfer train.
    Choose between models on PublicTest; look at PrivateTest once, at the end.

    \b
    Examples:
      skfer evaluate photos/ --model mine.skfer
      skfer evaluate fer2013.csv --json
    """
    labelled = load_labelled(data, usage, **labels)
    pipeline = _set_croppers(load_model(model), faces, detector)
    classes = np.asarray(pipeline.classes_)
    unknown = sorted(set(labelled.labels.tolist()) - set(classes.tolist()))
    if unknown:
        raise click.ClickException(
            f"The data has the class {unknown[0]!r}, which the model does not know. It knows: "
            f"{', '.join(map(str, classes.tolist()))}."
        )
    result = _scores(labelled.labels, pipeline.predict_proba(labelled.images), classes)
    result = {"data": str(data), "images": len(labelled.labels), **result}
    echo(json.dumps(result, indent=2) if as_json else _as_text(result))


def _set_croppers(model: Any, faces: bool, detector: str | None) -> Any:
    """Return what answers in a model; its `FaceCropper` looks with that detector, or not at all."""
    from skfer._pipelines import flat_steps, join_steps
    from skfer.preprocessing import FaceCropper

    steps = flat_steps(model)
    croppers = [step for step in steps if isinstance(step, FaceCropper)]
    if detector is not None and (faces or not croppers):
        why = "--faces looks for none" if faces else "the model has no FaceCropper, which would"
        raise click.BadParameter(f"No face is looked for: {why}.", param_hint="--detector")
    if faces:
        steps = [step for step in steps if not isinstance(step, FaceCropper)]
    elif detector is not None:
        for cropper in croppers:
            cropper.set_params(detector=find_detector(detector))
    return join_steps(steps)


def _scores(labels: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> dict[str, Any]:
    from sklearn.metrics import (
        accuracy_score,
        confusion_matrix,
        log_loss,
        precision_recall_fscore_support,
    )

    answers = classes[probabilities.argmax(axis=1)]
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, answers, labels=classes, zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(labels, answers)),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1[support > 0].mean()),
        "log_loss": float(log_loss(labels, probabilities, labels=classes)),
        "classes": {
            str(name): {
                "images": int(support[place]),
                "precision": float(precision[place]),
                "recall": float(recall[place]),
                "f1": float(f1[place]),
            }
            for place, name in enumerate(classes.tolist())
        },
        # A row for each label, a column for each answer, in the order of the classes.
        "confusion": confusion_matrix(labels, answers, labels=classes).tolist(),
    }


def _as_text(result: dict[str, Any]) -> str:
    names = [printable(name) for name in result["classes"]]
    width = max(10, *(len(name) + 2 for name in names))
    lines = [f"{result['images']} images of {result['data']}"]
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "log_loss"):
        lines.append(f"{name.replace('_', ' '):18} {result[name]:.3f}")
    lines += ["", f"{'':{width}}{'images':>8}{'precision':>11}{'recall':>8}{'f1':>7}"]
    for name, row in zip(names, result["classes"].values(), strict=True):
        lines.append(
            f"{name:{width}}{row['images']:8d}{row['precision']:11.3f}{row['recall']:8.3f}"
            f"{row['f1']:7.3f}"
        )
    lines += ["", "confusion (a row for each label, a column for each answer)"]
    for name, row in zip(names, result["confusion"], strict=True):
        lines.append(f"{name:{width}}" + "".join(f"{count:7d}" for count in row))
    return "\n".join(lines)
