"""`save` and `load`: fitted estimators in files that hold data and no code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import skfer
from skfer import _network_state as network_state
from skfer._partial_file import partial_file
from skfer.networks._keras_settings import standard_keras
from skfer.persistence._container import read_container, write_container
from skfer.persistence._plain_data import Reader, Writer
from skfer.training import is_usable

# Raised when a file of the form before can't be read any more by what reads the new one; `load`
# then learns to read both. tests/persistence/models/ keeps files of every form.
FORMAT = 1

# What wrong data, of right form, comes to: a name that is missing, a list where a number should be.
_DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
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
        "versions": network_state.versions(),
        "classes": _shown_classes(estimator),
        "estimator": writer.estimator(estimator, type(estimator).__name__),
    }
    with partial_file(path) as part, part.open("r+b") as file:
        write_container(file, content, writer.arrays)
        file.flush()
        os.fsync(file.fileno())
    return path


@standard_keras()
def load(path: str | os.PathLike) -> Any:
    """The estimator of a file that `save` wrote.

    Nothing of the file is run: it may name only classes that `save` knows, and layers of Keras that
    hold no code. Nothing is allocated that the file doesn't hold. The checksum finds every changed
    byte, but is no signature: whoever makes a file can make its checksum. From strangers, expect
    wrong answers, and nothing worse.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    estimator

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no such file, was changed, comes from a newer skfer, or holds what no such file
        may hold.

    See Also
    --------
    save : Which estimators it is for.

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
    content, arrays = read_container(path)
    made_in = content.get("format")
    if made_in != FORMAT:
        versions = content.get("versions")
        release = versions.get("skfer") if isinstance(versions, dict) else None
        raise ValueError(
            f"{str(path)!r} is of format {made_in!r}, written by skfer {release}; this is skfer "
            f"{skfer.__version__}, which reads {FORMAT}: install a newer one."
        )
    try:
        return Reader(arrays).estimator(content["estimator"])
    except _DAMAGE as error:
        if not is_usable():
            raise  # it is this process that is not as it should be, not the file
        raise ValueError(f"{str(path)!r} is no model that can be loaded: {error}") from error


def _shown_classes(estimator: Any) -> list[str] | None:
    """The labels, for whoever looks into the file."""
    try:
        return [str(label) for label in estimator.classes_]
    except AttributeError:
        return None
