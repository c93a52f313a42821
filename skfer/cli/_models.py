"""Models and detectors, as the command line names them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click


def load_model(model: str | None) -> Any:
    """A pretrained Pipeline by its name, or a saved one by its path."""
    from skfer import list_pretrained, load_pretrained

    if model is None:
        return load_pretrained()
    # Names first: a folder of the data they were trained on may be called the same.
    names = [known["name"] for known in list_pretrained()]
    if model in names:
        return load_pretrained(model)
    if os.path.exists(model):
        return _load_file(Path(model))
    raise click.BadParameter(
        f"{model!r} is neither a file nor one of the pretrained models: {', '.join(names)}.",
        param_hint="--model",
    )


def save_model(pipeline: Any, path: Path) -> None:
    """Write a model: as a pickle if its name says so, else as `skfer.save` does."""
    if is_pickle_name(path):
        import joblib

        from skfer._storage import partial_file

        with partial_file(path) as part:
            joblib.dump(pipeline, part)
        return
    from skfer import save

    save(pipeline, path)


def check_savable(pipeline: Any, path: Path) -> None:
    """Raise if the model, fitted, couldn't be written there: told now, not after an hour's work."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".skfer-") as folder:
        save_model(pipeline, Path(folder) / path.name)


def is_pickle_name(path: Path) -> bool:
    """Return whether a path has a suffix of joblib's files."""
    from skfer.persistence import PICKLE_SUFFIXES

    return path.suffix.lower() in PICKLE_SUFFIXES


def _load_file(path: Path) -> Any:
    from skfer import load

    # By the name that the user gave, never by the content: that is the choice of who made the file.
    if not is_pickle_name(path):
        return load(path)
    import joblib

    click.echo(
        f"Warning: {str(path)!r} is a pickle: loading it is running code of whoever made it. Only "
        "load files from people you trust. What skfer train writes as .skfer holds no code.",
        err=True,
    )
    try:
        return joblib.load(path)
    except Exception as error:  # a pickle that is damaged, or none, may raise anything
        raise click.ClickException(
            f"{str(path)!r} can't be loaded as a model ({type(error).__name__}: {error}). It has "
            "to be a fitted Pipeline or classifier saved with joblib.dump."
        ) from error


def find_detector(detector: str | None) -> Any:
    """A detector's name as it is, or the YuNet detector of a file."""
    if detector is None or not detector.endswith(".onnx"):
        return detector
    from skfer.detection import YuNetDetector

    return YuNetDetector(detector)
