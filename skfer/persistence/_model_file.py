"""Files of fitted estimators that hold data and no code: `save` and `load`.

A file is a zip archive of ``skfer.json`` and ``000.npy``, ``001.npy``, ..., not compressed: its
content is not larger than the file. The comment at the end is the SHA-256 of all bytes before it.
It detects damage. It is not a signature, so the reader accepts nothing but data.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

import skfer
from skfer._storage import READ_ERRORS, add_array, archive_entry, partial_file, read_array
from skfer._utils import page, shorten, tensorflow_is_usable
from skfer.estimators._base import package_versions
from skfer.persistence._plain_data import Reader, Writer

# Increased when older versions cannot read new files. tests/persistence/models/ has files of each
# format.
FORMAT = 1

TEXT = "skfer.json"
_SEAL = b"skfer sha256 "
_SEAL_LENGTH = len(_SEAL) + 64
_PIECE = 1 << 20
# Several times the size of the largest network of keras.applications.
_MAX_BYTES = 4_000_000_000
# EfficientNetB7 has 0.4 MB of text and 1,400 arrays.
_MAX_TEXT = 4_000_000
_MAX_ARRAYS = 20_000

# Files that hold models in other formats, by their first bytes.
_PICKLE = (
    "is a pickle, such as joblib.dump writes, which may run any code when it is loaded. If you "
    "trust who made it: joblib.load(path). The command skfer accepts the suffix .joblib. "
    f"See {page('guide/deploy')}"
)
_KERAS = "is a Keras model: use FacialExpressionClassifier.from_keras(path, classes=...)."
_OTHERS = (
    (b"\x80", _PICKLE),
    (b"\x78", _PICKLE),  # compressed
    (b"\x1f\x8b", _PICKLE),
    (b"\x89HDF", _KERAS),
)

# Errors for wrong data in the right form: a missing name, a list instead of a number.
_WRONG_DATA = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RuntimeError)
# Limits of the trial of a network that is built layer by layer.
_TRIAL_CPU_SECONDS = 60
_TRIAL_SECONDS = 600  # on a busy machine
_TRIAL_BYTES = 6_000_000_000
_TRIAL_CODE = (
    "import sys; from skfer.persistence._model_file import _predict_once; "
    "_predict_once(sys.argv[1])"
)
# An error may quote a value of the file.
_MAX_REASON = 500
# Suffixes of pickles, such as joblib writes.
PICKLE_SUFFIXES = (".joblib", ".pkl", ".pickle")


def save(estimator: Any, path: str | os.PathLike) -> Path:
    """Write an estimator to a file that holds data and no code.

    Supported are the estimators, transformers and detectors of skfer, and scikit-learn's
    ``Pipeline``, ``FeatureUnion``, ``FrozenEstimator``, ``StandardScaler``, ``PCA``,
    ``LogisticRegression`` and ``LinearSVC``. The loaded estimator gives identical predictions.

    The file is a zip archive of ``skfer.json`` (parameters, labels, layers, versions) and arrays in
    NumPy's format, with a SHA-256 of all of it. An existing file is replaced in one step: an
    interrupted call leaves it unchanged.

    Parameters
    ----------
    estimator : estimator
        Fitted or not.
    path : str or path
        The file, usually with the suffix ``.skfer``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the estimator or a part of it is not supported, holds a function or a callback, or has a
        parameter outside the limits of `load`; the message names it. Nothing is written then.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Load the estimator.
    export_onnx : Write a classifier for programs without Python.

    Notes
    -----
    Folders (``memory``, ``checkpoint_dir``), metadata requests and the state of the optimizer are
    not saved. A network of your own is saved layer by layer, if it is made of Keras's simple
    layers. Its function is not, see `skfer.networks.register_network`.

    Examples
    --------
    >>> import tempfile
    >>> import skfer
    >>> model = skfer.load_pretrained("fer2013")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = skfer.save(model, f"{folder}/model.skfer")
    ...     loaded = skfer.load(path)
    >>> loaded.classes_.tolist() == model.classes_.tolist()
    True
    """
    path = Path(path)
    if path.suffix.lower() in PICKLE_SUFFIXES:
        raise ValueError(
            f"path={str(path)!r} has the suffix of a pickle, which skfer.save doesn't write: use "
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
        write_archive(file, content, writer.arrays)
        file.flush()
        os.fsync(file.fileno())
    return path


def load(path: str | os.PathLike, *, trusted: bool = False) -> Any:
    """Load an estimator from a file that `save` wrote.

    The file holds data and no code. It may name only the classes that `save` accepts and layers of
    Keras, within limits on parameters, layers, values and multiply-adds. Its weights and fitted
    values must be finite. No path in it is opened, and `n_jobs` is at most the number of cores. The
    checksum detects damage, but it is not a signature: anyone can write a file with a valid one. So
    a file of unknown origin is safe to load, but its predictions may be wrong.

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
    if reader.custom_networks and not trusted:
        _try_in_child(path)
    return estimator


def _read(path: Path) -> tuple[Reader, Any]:
    content, arrays = read_archive(path)
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
    except _WRONG_DATA as error:
        if not tensorflow_is_usable():
            raise  # the process cannot use TensorFlow: the file is not damaged
        raise ValueError(
            f"{str(path)!r} can't be loaded as a model: {str(error)[:_MAX_REASON]}"
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
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_TRIAL_BYTES, _TRIAL_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_TRIAL_CPU_SECONDS, _TRIAL_CPU_SECONDS))
    reader, _ = _read(Path(path))
    for estimator in reader.custom_networks:
        for n_images in (1, 3):
            shape = (n_images, *estimator.image_shape_)
            for images in (np.zeros(shape), np.random.default_rng(0).integers(0, 256, shape)):
                estimator._forward(images.astype(np.uint8))


def _shown_classes(estimator: Any) -> list[str] | None:
    """Return the labels, for readers of the JSON."""
    try:
        return [str(label) for label in estimator.classes_]
    except AttributeError:
        return None


def write_archive(file: IO[bytes], content: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    """Write content and arrays to a new file that is open for reading and writing."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(archive_entry(TEXT), json.dumps(content))
        for index, array in enumerate(arrays):
            add_array(archive, f"{index:03}.npy", array)
        archive.comment = _SEAL.ljust(_SEAL_LENGTH, b"0")
    digest = _digest(file, file.seek(0, os.SEEK_END) - 64)
    file.seek(-64, os.SEEK_END)
    file.write(digest)


def read_archive(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Return the content and the arrays of a file."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {str(path)!r}.")
    with path.open("rb") as file:
        _check_seal(file, path)
        try:
            return _unpack(file)
        except (*READ_ERRORS, KeyError, RecursionError) as error:
            raise ValueError(f"{str(path)!r} can't be read as a model: {error}.") from error


def _check_seal(file: IO[bytes], path: Path) -> None:
    head = file.read(30 + len(TEXT))
    if head[:4] != b"PK\x03\x04" or head[30:] != TEXT.encode():
        what = next((what for mark, what in _OTHERS if head.startswith(mark)), None)
        if what is None and head.startswith(b"PK"):
            what = f"is a zip archive, but not one of skfer.save. Perhaps it {_KERAS}"
        what = what or ("is empty." if not head else "was not written by skfer.save.")
        raise ValueError(f"{str(path)!r} {what}")
    size = file.seek(0, os.SEEK_END)
    if size > _MAX_BYTES:
        raise ValueError(
            f"{str(path)!r} has {size:,} bytes; models of up to {_MAX_BYTES:,} are read."
        )
    file.seek(max(0, size - _SEAL_LENGTH))
    seal = file.read()
    if not seal.startswith(_SEAL):
        raise ValueError(
            f"{str(path)!r} is truncated or was packed again: the checksum at its end is missing."
        )
    found, written = _digest(file, size - 64), seal[len(_SEAL) :]
    if found != written:
        raise ValueError(
            f"{str(path)!r} has been changed or is damaged: the SHA-256 of its content is "
            f"{found.decode()}, and {written.decode('ascii', 'replace')} was written into it."
        )


def _digest(file: IO[bytes], length: int) -> bytes:
    """Return the SHA-256 of the first bytes."""
    digest = hashlib.sha256()
    file.seek(0)
    while length > 0 and (piece := file.read(min(_PIECE, length))):
        digest.update(piece)
        length -= len(piece)
    return digest.hexdigest().encode()


def _unpack(file: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]]:
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        text, *arrays = archive.infolist()
        if len(arrays) > _MAX_ARRAYS or text.file_size > _MAX_TEXT:
            raise ValueError(f"it holds {len(arrays):,} arrays, {text.file_size:,} bytes of text")
        expected = [TEXT, *(f"{index:03}.npy" for index in range(len(arrays)))]
        for info, name in zip(archive.infolist(), expected, strict=True):
            if info.filename != name:
                raise ValueError(f"it holds {info.filename!r} instead of {name!r}")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"its entry {name!r} is compressed")
        # Entries that share bytes would make a small file large.
        if sum(info.file_size for info in archive.infolist()) > size:
            raise ValueError("its entries are larger than the file")
        content = json.loads(archive.read(text).decode("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"{TEXT!r} holds no object")
        return content, [read_array(archive, info) for info in arrays]
