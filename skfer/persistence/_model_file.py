"""`save` and `load`: fitted estimators in files that hold data and no code."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import skfer
from skfer._partial_file import partial_file
from skfer._threads import tensorflow_is_usable
from skfer._utils import shorten
from skfer.estimators._base import package_versions
from skfer.networks._keras_settings import standard_keras
from skfer.persistence._container import read_container, write_container
from skfer.persistence._plain_data import Reader, Writer

# Raised when a file of the form before can't be read any more by what reads the new one; `load`
# then learns to read both. tests/persistence/models/ keeps files of every form.
FORMAT = 1

# What wrong data, of right form, comes to: a name that is missing, a list where a number should be.
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
# Limits of the trial of a network that a file describes layer by layer.
_TRIAL_CPU_SECONDS = 60
_TRIAL_SECONDS = 600  # on a busy machine
_TRIAL_BYTES = 6_000_000_000
_TRIAL_CODE = (
    "import sys; from skfer.persistence._model_file import _predict_once; "
    "_predict_once(sys.argv[1])"
)
# An error may quote a value of the file.
_LONGEST_REASON = 500
# Names of joblib's files, which are pickles.
PICKLE_SUFFIXES = (".joblib", ".pkl", ".pickle")


def save(estimator: Any, path: str | os.PathLike) -> Path:
    """Write an estimator into a file that holds data and no code.

    It is for `FacialExpressionClassifier` and what stands around it: the Pipeline, the transformers
    and detectors of skfer, `AbstainingClassifier`, and scikit-learn's ``FeatureUnion``,
    ``FrozenEstimator``, ``StandardScaler``, ``PCA``, ``LogisticRegression`` and ``LinearSVC``.
    `load` gives it back; it predicts the same to the last bit.

    The file is a zip archive of ``skfer.json`` (parameters, labels, layers, versions) and arrays in
    NumPy's own form, sealed by a SHA-256 of all of it. It is replaced in one step: whoever is
    interrupted leaves the file that was there.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    path : str or path
        The file; its name usually ends in ``.skfer``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the estimator, or something inside it, is none of these, or holds a function, a callback
        or the like; the message names it and the way out. Nothing is written then.
    OSError
        If the file can't be written, for want of space among other things.

    See Also
    --------
    load : The way back.
    export_onnx : For programs without Python.

    Notes
    -----
    Folders that are written to (``memory``, ``checkpoint_dir``) and metadata requests are not kept,
    nor is the optimiser's state: training goes on with new moments, as after a pickle. A network of
    your own is kept layer by layer, if it is made of Keras's simple layers; the function that made
    it is not, see `skfer.networks.register_network`.

    Examples
    --------
    >>> import tempfile
    >>> import skfer
    >>> faces = skfer.load_pretrained("fer2013")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = skfer.save(faces, f"{folder}/faces.skfer")
    ...     loaded = skfer.load(path)
    >>> loaded.classes_.tolist() == faces.classes_.tolist()
    True
    """
    path = Path(path)
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise ValueError(
            f"path={str(path)!r} is named as a pickle, which skfer.save doesn't write: call it "
            f"{path.with_suffix('.skfer').name!r}, or use joblib.dump."
        )
    writer = Writer()
    content = {
        "format": FORMAT,
        "versions": package_versions(),
        "classes": _shown_classes(estimator),
        "estimator": writer.estimator(estimator, type(estimator).__name__),
    }
    with partial_file(path) as part, part.open("r+b") as file:
        write_container(file, content, writer.arrays)
        file.flush()
        os.fsync(file.fileno())
    return path


@standard_keras()
def load(path: str | os.PathLike, *, trusted: bool = False) -> Any:
    """Load an estimator from a file that `save` wrote.

    The file holds data and no code. It may name only the classes that `save` accepts and layers of
    Keras, within limits on parameters, layers, values and multiply-adds. Its weights and fitted
    values must be finite. No path in it is opened. The checksum detects damage, but it is not a
    signature: anyone can write a file with a valid one. So a file of unknown origin is safe to
    load, but its predictions may be wrong.

    Parameters
    ----------
    path : str or path
        The file.
    trusted : bool, default=False
        Skip the trial of networks that are not in `skfer.networks`. Such a network is first run on
        a blank image and on noise in a child process, with limits on memory and time, because some
        combinations of layers can crash the process. The trial takes several seconds.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not such a file, was changed, comes from a newer skfer, names a class or layer that
        is not accepted, or exceeds a limit.

    Warns
    -----
    UserWarning
        If it names a model file for a detector. The file is not opened.

    See Also
    --------
    save : Save an estimator; lists the accepted classes.

    Examples
    --------
    >>> import tempfile
    >>> import skfer
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = skfer.save(skfer.FaceCropper(margin=0.2), f"{folder}/cropper.skfer")
    ...     skfer.load(path)
    FaceCropper(margin=0.2)
    """
    path = Path(path)
    reader, estimator = _read(path)
    if reader.free_graphs and not trusted:
        _try_in_child(path)
    return estimator


def _read(path: Path) -> tuple[Reader, Any]:
    content, arrays = read_container(path)
    made_in = content.get("format")
    if made_in != FORMAT:
        versions = content.get("versions")
        release = versions.get("skfer") if isinstance(versions, dict) else None
        raise ValueError(
            f"{str(path)!r} is of format {shorten(made_in)}, written by skfer "
            f"{str(release)[:20]}; this is skfer {skfer.__version__}, which reads {FORMAT}: "
            "install a newer one."
        )
    reader = Reader(arrays)
    try:
        return reader, reader.estimator(content["estimator"])
    except _DAMAGE as error:
        if not tensorflow_is_usable():
            raise  # TensorFlow can't be used in this process: the file is not at fault
        raise ValueError(
            f"{str(path)!r} is no model that can be loaded: {str(error)[:_LONGEST_REASON]}"
        ) from error


def _try_in_child(path: Path) -> None:
    """Predict once in a child process, so that a network that crashes ends that process only."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        subprocess.run(
            [sys.executable, "-c", _TRIAL_CODE, os.path.abspath(path)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise ValueError(
            f"{str(path)!r} is not loaded: its network fails in a process of its own on a blank "
            f"image or on noise ({type(error).__name__}, {getattr(error, 'returncode', 'no end')})."
        ) from error


def _predict_once(path: str) -> None:
    """Load a file and run each network in it on blank images and on noise, within limits."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_TRIAL_BYTES, _TRIAL_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_CPU_SECONDS, _TRIAL_CPU_SECONDS))
    reader, _ = _read(Path(path))
    for estimator in reader.free_graphs:
        for n_images in (1, 3):
            shape = (n_images, *estimator.image_shape_)
            for images in (np.zeros(shape), np.random.default_rng(0).integers(0, 256, shape)):
                estimator._forward(images.astype(np.uint8))


def _shown_classes(estimator: Any) -> list[str] | None:
    """The labels, for whoever looks into the file."""
    try:
        return [str(label) for label in estimator.classes_]
    except AttributeError:
        return None
