"""``skfer train`` and ``skfer evaluate``, and the labelled images that they read."""

from __future__ import annotations

import ast
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skfer._utils import printable
from skfer.cli._options import (
    DETECTOR_HELP,
    OUTPUT_FILE,
    check_savable,
    combine,
    detector_option,
    echo,
    load_model,
    model_option,
    save_model,
    to_detector,
)

if TYPE_CHECKING:
    import numpy as np

# Smaller images, such as those of FER2013, are faces.
_FACES_BELOW = 64

_data_options = combine(
    click.argument("data", type=click.Path(exists=True, path_type=Path)),
    click.option(
        "--names",
        metavar="NAME|PATTERN",
        help="Read the labels from file names: jaffe, kdef, or a regular expression with a group "
        "named label.  [default: from folder names]",
    ),
    click.option(
        "--codes",
        metavar="NAME",
        help="Numbering of the labels: affectnet, ck+, fer2013 or raf-db.  "
        "[default: labels are names]",
    ),
    click.option(
        "--columns",
        nargs=2,
        metavar="IMAGE LABEL",
        help="DATA is a table. Its columns with the path and the label of each image, by name, or "
        "by number from 0 if the file has no column names.  [default: DATA is not a table]",
    ),
    click.option(
        "--images",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Folder of the images of a table.  [default: folder of the table]",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
)


@click.command()
@_data_options
@click.option(
    "-o",
    "--output",
    type=OUTPUT_FILE,
    required=True,
    metavar="FILE.skfer",
    help="File of the model. The suffix .joblib writes a pickle, which can run any code while it "
    "is loaded.",
)
@click.option(
    "--weights",
    metavar="NAME",
    help="Pretrained weights to start from: fer2013 or ferplus. They need few photos.  "
    "[default: random weights]",
)
@click.option(
    "--network",
    metavar="NAME",
    help="Network, such as cnn5, mini_xception, mini_resnet or resnet50; "
    "skfer.networks.list_networks() lists all.  [default: network of --weights, otherwise "
    "small_cnn]",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    help="Number of epochs.  [default: from 80 for few images to 12 for many; with --weights "
    "from 30 to 5]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=32,
    help="Number of images in a training step.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    help="Learning rate.  [default: chosen by the optimizer, the network and --weights]",
)
@click.option(
    "--augment",
    type=click.Choice(["none", "flip", "light", "strong"]),
    default="light",
    help="Random changes of the training images.",
)
@click.option(
    "--size",
    type=click.IntRange(min=16),
    default=48,
    help="Width and height of the faces in pixels.",
)
@click.option(
    "-d",
    "--detector",
    default="auto",
    callback=to_detector,
    metavar="NAME|FILE",
    help=f"{DETECTOR_HELP} The model keeps the one that auto stands for.",
)
@click.option(
    "--faces",
    is_flag=True,
    help="The images are faces: skip the face detection. Images below 64 pixels, such as those of "
    "FER2013, are always used as faces.",
)
@click.option(
    "--validation",
    "validation_fraction",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=0.1,
    help="Fraction of the images for validation.",
)
@click.option("--seed", "random_state", type=int, default=0, help="Random seed.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Parameter of the Pipeline, such as cropper__margin=0.2. Can be repeated.",
)
def train(
    data: Path,
    output: Path,
    detector: Any,
    size: int,
    faces: bool,
    settings: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model on labelled images and save it.

    DATA is a folder with a folder of images for each class (happy/1.jpg), or FER2013:
    fer2013.csv, .csv.gz, .npz, or a folder with train and test. Of FER2013, only the part
    Training is used. --columns reads a table, --names reads labels from file names.

    A fit of more than a minute reports its progress on standard error; --set
    classifier__verbose=2 reports each epoch of any fit.

    \b
    Examples:
      skfer train photos/ --weights fer2013 --output mine.skfer
      skfer train fer2013.csv --network mini_resnet --epochs 40 --output fer.skfer
      skfer train KDEF/ --names kdef --output kdef.skfer
      skfer train labels.csv --columns file emotion --images faces/ --output mine.skfer
      skfer train photos/ -o mine.skfer --set cropper__margin=0.2 --detector yunet
    """
    if output.exists() and output.samefile(data):
        raise click.BadParameter(
            f"{str(output)!r} is the data itself. Use another name.", param_hint="--output"
        )
    _check_network_and_weights(options["network"], options["weights"])
    values = _parse_settings(settings)
    images, labels, description = _load_labelled(data, options, train=True)
    echo("Loading TensorFlow ...", err=True)
    from skfer.networks._keras_settings import import_keras

    import_keras()
    from sklearn.pipeline import Pipeline

    from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
    from skfer.networks._registry import DEFAULT_NETWORK

    cropper = FaceCropper(detector, whole_below=_FACES_BELOW, n_jobs=-1)
    classifier = FacialExpressionClassifier(**options)
    steps = [("cropper", cropper), ("resizer", GrayscaleResizer(size)), ("classifier", classifier)]
    pipeline = Pipeline(steps).set_params(**values)
    used = None if faces else _fix_detector(pipeline, images)
    check_savable(pipeline, output)
    weights, network = options["weights"], options["network"]
    network = network or (f"the network of {weights}" if weights else DEFAULT_NETWORK)
    how = "" if used is None else f", faces detected by {used}"
    echo(f"{description}{how}; training {network} ...", err=True)
    # The saved model has the cropper in any case, for photos.
    with contextlib.redirect_stdout(sys.stderr):
        (pipeline[1:] if faces else pipeline).fit(images, labels)
    save_model(pipeline, output)
    classes = classifier.classes_.tolist()
    if as_json:
        history = {name: [float(v) for v in values] for name, values in classifier.history_.items()}
        result = {"model": str(output), "classes": classes, "detector": used, "history": history}
        echo(json.dumps(result, indent=2))
    else:
        echo(f"{output}: {', '.join(map(str, classes))}")


def _check_network_and_weights(network: str | None, weights: str | None) -> None:
    """Refuse unknown networks and weights before faces are detected."""
    from skfer.networks._registry import is_model_file, list_networks
    from skfer.weights import list_weights

    if not (network is None or is_model_file(network) or network in list_networks()):
        raise click.BadParameter(
            f"{network!r} is not one of: {', '.join(list_networks())}.", param_hint="--network"
        )
    names = list_weights()
    if weights not in (None, "imagenet", *names) and not Path(str(weights)).is_file():
        raise click.BadParameter(
            f"{weights!r} is neither a file nor one of: {', '.join(names)}.",
            param_hint="--weights",
        )


def _fix_detector(pipeline: Any, images: Any) -> str | None:
    """Replace "auto" by the detector that it stands for; return its name, or None if unused.

    The saved model then finds the same faces on a machine with other detectors.
    """
    from skfer import FaceCropper
    from skfer.detection._base import detector_name

    cropper = pipeline["cropper"]
    if not isinstance(cropper, FaceCropper) or images.ndim > 1:  # FER2013, whose images are faces
        return None
    name = detector_name(cropper.detector_)
    if cropper.detector == "auto":
        cropper.set_params(detector=name)
    return name


def _parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise click.BadParameter(
                f"{setting!r} is not of the form NAME=VALUE.", param_hint="--set"
            )
        try:
            values[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            values[name] = text
    return values


@click.command()
@_data_options
@model_option
@detector_option
@click.option(
    "--usage",
    metavar="NAME",
    help="Part of FER2013, or part that --names reads from file names: PublicTest, PrivateTest or "
    "Training; in some data Validation or Test.  [default: PublicTest, otherwise Validation or "
    "Test]",
)
@click.option("--faces", is_flag=True, help="The images are faces: skip the face detection.")
def evaluate(
    data: Path,
    model: str | None,
    detector: Any,
    usage: str | None,
    faces: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Score the predictions of a model on labelled images.

    DATA is a folder with a folder of images for each class, or FER2013, as for skfer train.
    Choose between models on PublicTest. Use PrivateTest only once, for the final model.

    \b
    Examples:
      skfer evaluate photos/ --model mine.skfer
      skfer evaluate fer2013.csv --json
    """
    from skfer._pipelines import classes_of, flat_steps, join_steps

    images, labels, _ = _load_labelled(data, options, usage)
    steps = _set_croppers(flat_steps(load_model(model)), faces, detector)
    classes = classes_of(steps)
    unknown = sorted(set(labels.tolist()) - set(classes.tolist()))
    if unknown:
        raise click.ClickException(
            f"The data has the class {unknown[0]!r}, which the model does not know. It knows: "
            f"{', '.join(map(str, classes.tolist()))}."
        )
    scores = _score(labels, join_steps(steps).predict_proba(images), classes)
    result = {"data": str(data), "images": len(labels), **scores}
    echo(json.dumps(result, indent=2) if as_json else _to_text(result))


def _set_croppers(steps: list[Any], faces: bool, detector: Any) -> list[Any]:
    """Return steps without their `FaceCropper`, or with another detector in it."""
    from skfer import FaceCropper

    croppers = [step for step in steps if isinstance(step, FaceCropper)]
    if detector is not None and (faces or not croppers):
        reason = "--faces skips the detection" if faces else "the model has no FaceCropper"
        raise click.BadParameter(f"No detector is used: {reason}.", param_hint="--detector")
    if faces:
        return [step for step in steps if step not in croppers]
    if detector is not None:
        for cropper in croppers:
            cropper.set_params(detector=detector)
    return steps


def _score(labels: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> dict[str, Any]:
    from sklearn.metrics import (
        accuracy_score,
        confusion_matrix,
        log_loss,
        precision_recall_fscore_support,
    )

    predicted = classes[probabilities.argmax(axis=1)]
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=classes, zero_division=0
    )
    columns = {"images": support, "precision": precision, "recall": recall, "f1": f1}
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "macro_f1": float(f1[support > 0].mean()),
        "log_loss": float(log_loss(labels, probabilities, labels=classes)),
        "classes": {
            str(label): {name: column[index].item() for name, column in columns.items()}
            for index, label in enumerate(classes.tolist())
        },
        "confusion": confusion_matrix(labels, predicted, labels=classes).tolist(),
    }


def _to_text(result: dict[str, Any]) -> str:
    import pandas as pd

    names = [printable(name) for name in result["classes"]]
    scores = ("accuracy", "balanced_accuracy", "macro_f1", "log_loss")
    lines = [
        f"{result['images']} images of {result['data']}",
        *(f"{name.replace('_', ' '):18} {result[name]:.3f}" for name in scores),
        "",
        pd.DataFrame(result["classes"].values(), names).to_string(float_format="{:.3f}".format),
        "",
        "confusion matrix (rows: labels, columns: predictions)",
        pd.DataFrame(result["confusion"], names, names).to_string(),
    ]
    return "\n".join(lines)


def _load_labelled(
    data: Path, options: dict[str, Any], usage: str | None = None, *, train: bool = False
) -> tuple[Any, np.ndarray, str]:
    """Return images, labels and a description; the options of the labels are removed."""
    from skfer._utils import entries_of
    from skfer.datasets import load_fer2013, load_image_folder, load_image_table
    from skfer.datasets._fer2013 import FER2013_SUFFIXES
    from skfer.datasets._files import TRAINING, split_of

    columns, folder = options.pop("columns"), options.pop("images")
    labelling = {name: options.pop(name) for name in ("names", "codes")}
    found: Any
    if columns is not None:
        image, label = (int(column) if column.isdigit() else column for column in columns)
        found = load_image_table(data, image=image, label=label, folder=folder, **labelling)
        return _choose_part(data, found, usage, train)
    if data.is_file() and data.suffix and not data.name.lower().endswith(FER2013_SUFFIXES):
        raise ValueError(
            f"{str(data)!r} is neither FER2013 nor a folder. For a table of images, add --columns "
            "IMAGE LABEL."
        )
    has_parts = data.is_dir() and any(
        split_of(entry.name) == TRAINING for entry in entries_of(data) if entry.is_dir()
    )
    if not data.is_file() and (not has_parts or any(labelling.values())):
        found = load_image_folder(data, **labelling)
        return _choose_part(data, found, usage, train)
    usage = TRAINING if train else usage
    found = load_fer2013(data, usage=usage)
    if usage is not None:
        return found.images, found.labels, f"{len(found.labels)} faces, {usage}"
    index = found.public_test_index
    if len(index) == 0:
        raise ValueError(f"{str(data)!r} has no test part. Name a part with --usage.")
    description = f"{len(index)} faces, {found.usage[index[0]]}"
    return found.images[index], found.labels[index], description


def _choose_part(
    data: Path, found: Any, usage: str | None, train: bool
) -> tuple[Any, np.ndarray, str]:
    """Return paths, labels and a description of the images of a part, if `names` reads parts."""
    import numpy as np

    from skfer.datasets._files import PUBLIC_TEST, TEST, TRAINING, VALIDATION, split_of

    parts = found.get("usage")
    if parts is None:
        if usage is not None:
            raise click.BadParameter(
                f"{str(data)!r} is not divided into parts; --names raf-db reads the part from the "
                "file names.",
                param_hint="--usage",
            )
        return found.paths, found.labels, f"{len(found.labels)} images"
    if usage is not None:
        wanted = [str(split_of(usage))]
    else:
        test_parts = [part for part in (PUBLIC_TEST, VALIDATION, TEST) if part in parts]
        wanted = [TRAINING] if train else test_parts[:1]
    rows = np.flatnonzero(np.isin(parts, wanted))
    if len(rows) == 0:
        raise ValueError(
            f"{str(data)!r} has no images of the part {usage or (TRAINING if train else TEST)}; "
            f"its parts are: {', '.join(sorted(set(parts)))}."
        )
    return found.paths[rows], found.labels[rows], f"{len(rows)} images, {parts[rows[0]]}"
