"""Files of weights: ``NAME.json`` with a record, and ``NAME.npz`` with the arrays.

The arrays are in the order of Keras's `get_weights`, in half precision, without pickles. Their
SHA-256 is in the record.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skfer._storage import add_array, read_array

FOLDER = Path(__file__).parent


class WeightsRecord(NamedTuple):
    """Description of a file of weights; `accuracy` and the fields after it are for readers."""

    name: str
    sha256: str
    network: str
    image_shape: tuple[int, ...]
    classes: list[str]
    class_prior: list[float]
    temperature: float
    parameters: dict[str, Any]
    preprocessing: dict[str, dict[str, Any]]
    n_weights: int
    accuracy: dict[str, float]
    data: str
    licence: str
    recipe: dict[str, Any]
    versions: dict[str, str]


class StoredWeights(NamedTuple):
    """A record with its arrays, float32."""

    record: WeightsRecord
    arrays: list[np.ndarray]


def list_weights(folder: Path = FOLDER) -> list[str]:
    """Return the names of the weights."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read_record(name: str, folder: Path = FOLDER) -> WeightsRecord:
    """Return the record of weights."""
    known = list_weights(folder)
    if name not in known:
        raise ValueError(f"There are no weights {name!r}; there are {', '.join(known)}.")
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return WeightsRecord(**record | {"image_shape": tuple(record["image_shape"])})


def read_weights(name: str, folder: Path = FOLDER) -> StoredWeights:
    """Return weights; a missing or changed file is an error."""
    record = read_record(name, folder)
    path = folder / f"{name}.npz"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The weights file {str(path)!r} can't be read ({error.strerror}): install skfer again."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != record.sha256:
        raise ValueError(
            f"The weights file {str(path)!r} has been changed: its SHA-256 is {found}, not "
            f"{record.sha256}. Install skfer again."
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        arrays = [read_array(archive, info) for info in archive.infolist()]
    return StoredWeights(record, [array.astype(np.float32) for array in arrays])


def write_weights(
    record: WeightsRecord, arrays: list[np.ndarray], folder: Path = FOLDER
) -> WeightsRecord:
    """Write a record and its arrays, in half precision where that loses little.

    Variances of batch normalisation may be too small for half precision; vectors stay float32.
    """
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for index, array in enumerate(arrays):
            kept = array.astype(np.float32 if array.ndim < 2 else np.float16)
            add_array(archive, f"{index:03}.npy", kept, compress=True)
    (folder / f"{record.name}.npz").write_bytes(stored.getvalue())
    record = record._replace(sha256=hashlib.sha256(stored.getvalue()).hexdigest())
    text = json.dumps(record._asdict(), indent=1, ensure_ascii=False) + "\n"
    (folder / f"{record.name}.json").write_text(text, encoding="utf-8")
    return record
