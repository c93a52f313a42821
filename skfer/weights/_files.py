"""Files of weights: records in JSON, and ONNX models whose SHA-256 stands in the records.

``NAME.json`` describes the weights. The model that it names holds their network and its weights in
half precision, and may hold other networks that share layers with it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent


class WeightsRecord(NamedTuple):
    """Description of weights; `accuracy` and the fields after it are for readers."""

    name: str
    file: str
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


def list_weights(folder: Path = FOLDER) -> list[str]:
    """Return the names of the weights."""
    return sorted(path.stem for path in folder.glob("*.json"))


def read_record(name: str, folder: Path = FOLDER) -> WeightsRecord:
    """Return the description of weights.

    Raises
    ------
    ValueError
        If there are none of that name; it lists the known names.
    """
    known = list_weights(folder)
    if name not in known:
        raise ValueError(f"There are no weights {name!r}; there are {', '.join(known)}.")
    record = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return WeightsRecord(**record | {"image_shape": tuple(record["image_shape"])})


def read_model(record: WeightsRecord, folder: Path = FOLDER) -> bytes:
    """Return the ONNX model that holds weights, which is read once in a process.

    Raises
    ------
    ValueError
        If the file is missing or has been changed.
    """
    return _read_checked(folder / record.file, record.sha256)


@functools.lru_cache(maxsize=4)
def _read_checked(path: Path, sha256: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"The weights file {str(path)!r} can't be read ({error.strerror}): reinstall skfer."
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(
            f"The weights file {str(path)!r} has been changed: its SHA-256 is {found}, not "
            f"{sha256}. Reinstall skfer."
        )
    return content


def write_weights(
    records: list[WeightsRecord], model: bytes, file: str, folder: Path = FOLDER
) -> list[WeightsRecord]:
    """Write a model and the records of the weights that it holds.

    Parameters
    ----------
    records : list of WeightsRecord
    model : bytes
        ONNX model with a network for each record, called as the record.
    file : str
        Name of the model's file.
    folder : Path

    Returns
    -------
    list of WeightsRecord
        The records with the name and the checksum of the file.
    """
    (folder / file).write_bytes(model)
    checksum = hashlib.sha256(model).hexdigest()
    written = [record._replace(file=file, sha256=checksum) for record in records]
    for record in written:
        text = json.dumps(record._asdict(), indent=1, ensure_ascii=False) + "\n"
        (folder / f"{record.name}.json").write_text(text, encoding="utf-8")
    return written
