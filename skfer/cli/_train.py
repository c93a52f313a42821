"""``skfer train``: a model from labelled photos."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import click

from skfer.cli._data import load_labelled
from skfer.cli._models import check_savable, find_detector, save_model
from skfer.cli._options import data_options, echo, output_file

# Images smaller than this are faces already, as FER2013's 48 pixels are.
_FACES_BELOW = 64


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=output_file(),
    required=True,
    metavar="FILE.skfer",
    help="The model. A file named .joblib becomes a pickle, which runs code when it is loaded.",
)
@click.option(
    "--weights",
    default=None,
    metavar="NAME",
    help="Weights to start from, such as fer2013, which needs few photos. Default: none.",
)
@click.option(
    "--network",
    default=None,
    metavar="NAME",
    help="Its name in skfer. Default: that of the weights, and small_cnn without.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=None,
    help="Default: by the number of images, from 80 for few to 12 for many; with weights from "
    "30 to 5.",
)
@click.option("--batch-size", type=click.IntRange(min=1), default=32, show_default=True)
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), default=None)
@click.option("--augment", default="light", show_default=True, help="none, flip, light, strong.")
@click.option("--size", type=click.IntRange(min=16), default=48, show_default=True, help="Pixels.")
@click.option(
    "-d",
    "--detector",
    default="haar",
    show_default=True,
    metavar="NAME|FILE",
    help="What finds the face in a photo: haar, yunet, mtcnn, or the path of YuNet's .onnx file.",
)
@click.option(
    "--faces",
    is_flag=True,
    help="The images are faces already, of any size: look for none in them. Images below 64 "
    "pixels, such as FER2013's, are taken for faces without it.",
)
@click.option(
    "--validation",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    default=0.1,
    show_default=True,
    help="Share of the images that is watched and not learnt from.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="Any parameter of the Pipeline, such as cropper__margin=0.2; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the history as JSON.")
@data_options
def train(
    data: Path,
    output: Path,
    weights: str | None,
    network: str | None,
    epochs: int | None,
    batch_size: int,
    learning_rate: float | None,
    augment: str,
    size: int,
    detector: str,
    faces: bool,
    validation: float,
    seed: int,
    settings: tuple[str, ...],
    as_json: bool,
    **labels: Any,
) -> None:
    """Train a model and save it.

    DATA is a folder that has a folder of images for each class (happy/1.jpg), or FER2013:
    fer2013.csv, .csv.gz, .npz, or its folder with train and test. Of FER2013, Training is learnt.
    --columns reads a table of images, --names labels from file names.

    \b
    Examples:
      skfer train photos/ --weights fer2013 --output mine.skfer
      skfer train fer2013.csv --network mini_resnet --epochs 40 --output fer.skfer
      skfer train KDEF/ --names kdef --output kdef.skfer
      skfer train labels.csv --columns file emotion --images faces/ --output mine.skfer
      skfer train photos/ -o mine.skfer --set cropper__margin=0.2 --detector yunet
    """
    values = _parsed(settings)
    labelled = load_labelled(data, "Training", **labels)
    from skfer.networks._keras_settings import import_keras

    import_keras()
    from sklearn.pipeline import Pipeline

    from skfer import FaceCropper, FacialExpressionClassifier, GrayscaleResizer
    from skfer.cli._epoch_lines import EpochLines
    from skfer.networks._registry import DEFAULT_NETWORK

    cropper = FaceCropper(find_detector(detector), whole_below=_FACES_BELOW, n_jobs=-1)
    classifier = FacialExpressionClassifier(
        network,
        weights=weights,
        epochs=epochs,
        batch_size=batch_size,
        augment=augment,
        validation_fraction=validation,
        random_state=seed,
    )
    if learning_rate is not None:
        classifier.set_params(learning_rate=learning_rate)
    steps = [("cropper", cropper), ("resizer", GrayscaleResizer(size)), ("classifier", classifier)]
    pipeline = Pipeline(steps).set_params(**values)
    check_savable(pipeline, output)
    own = {name: classifier.get_params()[name] for name in ("callbacks", "verbose")}
    classifier.set_params(callbacks=[EpochLines()], verbose=0)
    by_default = f"the network of {weights}" if weights else DEFAULT_NETWORK
    echo(f"{labelled.description}; training {network or by_default} ...", err=True)
    # The cropper is part of what is saved either way: photos are what it will be given.
    learner = pipeline[1:] if faces else pipeline
    learner.fit(labelled.images, labelled.labels)
    classifier.set_params(**own)
    save_model(pipeline, output)
    history = {name: [float(v) for v in values] for name, values in classifier.history_.items()}
    if as_json:
        result = {"model": str(output), "classes": classifier.classes_.tolist()}
        echo(json.dumps({**result, "history": history}, indent=2))
    else:
        echo(f"{output}: {', '.join(map(str, classifier.classes_.tolist()))}")


def _parsed(settings: tuple[str, ...]) -> dict[str, Any]:
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
            values[name] = text  # a word
    return values
