"""Estimators as plain data, and back: what JSON has, and numbered arrays beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from skfer._documentation import page
from skfer._pixel_range import PixelRange
from skfer.persistence import _network_graph as network_graph
from skfer.persistence._kinds import GROUPS, KINDS, LEFT_OUT, PLACES, class_of, kind_of, may_have
from skfer.training import prepare_tensorflow

_OPTIMIZERS = {
    *("Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam"),
    *("RMSprop", "SGD"),
}
_WAY_OUT = (
    "Save it with joblib.dump, whose files may run any code when they are loaded. "
    f"See {page('guide/deploy')}"
)


class Writer:
    """Takes estimators apart.

    Attributes
    ----------
    arrays : list of ndarray
        What the plain data names by number.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def estimator(self, estimator: Any, where: str) -> dict[str, Any]:
        """An estimator of the known kinds, with all that is in it."""
        kind = kind_of(estimator)
        if kind is None:
            raise ValueError(_refusal(estimator, where))
        own = estimator.get_params(deep=False)
        cls = type(estimator)
        parameters = {
            name: self.value(None if name in PLACES else value, _inside(where, cls, name))
            for name, value in own.items()
        }
        entry: dict[str, Any] = {"class": kind, "parameters": parameters}
        attributes = {
            name: value
            for name, value in vars(estimator).items()
            if name not in own and name not in LEFT_OUT
        }
        network = attributes.pop("network_", None)
        for name, value in attributes.items():
            if not may_have(cls, name, _as_read(value)):
                raise ValueError(
                    f"{where} has an attribute {name} ({type(value).__name__}), for which a file "
                    f"of skfer.save has no place. {_WAY_OUT}"
                )
        entry["attributes"] = {
            name: self.value(value, f"{where}.{name}") for name, value in attributes.items()
        }
        if network is not None:
            entry["network"] = self._network(network, where)
        return entry

    def value(self, value: Any, where: str) -> Any:
        """Any value, if it is data."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.generic):
            return self.value(value.item(), where)
        if isinstance(value, PixelRange):
            return {"pixel_range": [value.low, value.high]}
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            items = [self.value(item, _item(where, item)) for item in value]
            return items if isinstance(value, list) else {"tuple": items}
        if type(value) is dict:
            pairs = [[self.value(key, where), self.value(of, where)] for key, of in value.items()]
            return {"dict": pairs}
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, Path):
            return {"path": str(value)}
        if isinstance(value, keras.Model):
            return {"model": self._network(value, where)}
        if isinstance(value, keras.optimizers.Optimizer):
            return self._optimizer(value, where)
        if hasattr(value, "get_params"):
            return {"estimator": self.estimator(value, where)}
        raise ValueError(_refusal(value, where))

    def _network(self, network: keras.Model, where: str) -> dict[str, Any]:
        try:
            return network_graph.describe(network, self._keep)
        except ValueError as error:
            raise ValueError(
                f"{where} has a network that a file of skfer.save can't hold: {error}. {_WAY_OUT}"
            ) from error

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        if array.dtype.kind in "biuf" or (array.dtype.kind == "U" and array.size):
            return {"array": self._keep(array)}
        if array.ndim != 1 or array.dtype.kind not in "OU":
            raise ValueError(f"{where} is an array of {array.dtype}, no plain data. {_WAY_OUT}")
        return {"objects": [self.value(item, where) for item in array.tolist()]}

    def _optimizer(self, optimizer: Any, where: str) -> dict[str, Any]:
        kind = type(optimizer).__name__
        settings = optimizer.get_config()
        if kind not in _OPTIMIZERS or not all(map(_is_plain, settings.values())):
            raise ValueError(
                f"{where} is an optimiser with settings that are no plain data ({kind}). Give its "
                f"name, with learning_rate and schedule. {_WAY_OUT}"
            )
        return {"optimizer": {"class": kind, "settings": self.value(settings, where)}}

    def _keep(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


class Reader:
    """Puts estimators together again.

    Parameters
    ----------
    arrays : list of ndarray
    """

    def __init__(self, arrays: Sequence[np.ndarray]):
        self._arrays = arrays

    def estimator(self, entry: dict[str, Any]) -> Any:
        """The estimator that was taken apart."""
        cls: Any = class_of(entry["class"])
        parameters = {name: self.value(value) for name, value in entry["parameters"].items()}
        # Where to write is said by who loads, not by who saved.
        estimator = cls(**parameters | {name: None for name in parameters if name in PLACES})
        if hasattr(estimator, "_validate_params"):
            estimator._validate_params()
        for name, value in entry["attributes"].items():
            value = self.value(value)
            if name in parameters or not may_have(cls, name, value):
                raise ValueError(f"{cls.__name__} has no attribute {name!r} of that kind")
            vars(estimator)[name] = value
        if "network" in entry:
            prepare_tensorflow()
            _give_network(estimator, network_graph.build(entry["network"], self._arrays))
        return estimator

    def value(self, value: Any) -> Any:
        """The value that was taken apart."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if not isinstance(value, dict):
            return value
        ((kind, held),) = value.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
            "pixel_range": lambda ends: PixelRange(*map(float, ends)),
            "tuple": lambda items: tuple(map(self.value, items)),
            "dict": lambda pairs: {self.value(key): self.value(of) for key, of in pairs},
            "array": lambda place: self._arrays[place],
            "objects": lambda items: _objects(list(map(self.value, items))),
            "path": Path,
            "model": self._model,
            "optimizer": self._optimizer,
            "estimator": self.estimator,
        }
        if kind not in readers:
            raise ValueError(f"it holds a value of the kind {kind!r}, which is not known")
        return readers[kind](held)

    def _model(self, description: dict[str, Any]) -> keras.Model:
        prepare_tensorflow()
        return network_graph.build(description, self._arrays)

    def _optimizer(self, entry: dict[str, Any]) -> Any:
        settings = self.value(entry["settings"])
        if entry["class"] not in _OPTIMIZERS or not all(map(_is_plain, settings.values())):
            raise ValueError(f"it holds an optimiser {entry['class']!r}, which is not known")
        return getattr(keras.optimizers, entry["class"])(**settings)


def _give_network(estimator: Any, network: Any) -> None:
    if not hasattr(estimator, "_set_network"):
        raise ValueError(f"{type(estimator).__name__} has no network")
    needed = ("image_shape_", "pixel_range_", "_seed")
    missing = [name for name in needed if not hasattr(estimator, name)]
    if missing:
        raise ValueError(f"{type(estimator).__name__} has a network and no {missing[0]}")
    classes = getattr(estimator, "classes_", None)
    fits = network.input_shape[1:] == estimator.image_shape_ and (
        classes is None or network.output_shape == (None, len(classes))
    )
    if not fits:
        raise ValueError(
            f"its network takes {network.input_shape} and gives {network.output_shape}, which is "
            "not what its images and classes need"
        )
    estimator._set_network(network)


def _objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _as_read(value: Any) -> Any:
    """The value as it will come back: numbers of NumPy's as Python's."""
    return value.item() if isinstance(value, np.generic) else value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _inside(where: str, cls: type, name: str) -> str:
    return where if issubclass(cls, GROUPS) else f"{where}.{name}"


def _item(where: str, item: Any) -> str:
    """Where an item of a list is: a step of a Pipeline goes by its name."""
    named = isinstance(item, tuple) and len(item) > 1 and hasattr(item[1], "get_params")
    return f"{where}[{item[0]!r}]" if named else where


def _refusal(value: Any, where: str) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "best_estimator_"):
        return (
            f"{where} is a {type(value).__name__}: a file of skfer.save holds what it found, its "
            "best_estimator_."
        )
    if where.endswith(".callbacks"):
        return f"{where} is of use to a fit only: save it with callbacks=None."
    if where.endswith(".random_state"):
        return f"{where} is a {kind}: a file of skfer.save holds an int, or None."
    if callable(value) and not hasattr(value, "get_params"):
        network = where.endswith(".network")
        name = getattr(value, "__name__", repr(value))
        register = (
            f"Give it a name before the fit: skfer.networks.register_network({name!r}, {name}), "
            f"and network={name!r}. Or: "
        )
        return (
            f"{where} is a function, {name}, and a file of skfer.save holds data, no code. "
            f"{register if network else ''}{_WAY_OUT}"
        )
    return (
        f"{where} is a {kind}, which a file of skfer.save can't hold. It holds "
        f"{', '.join(KINDS)}, and plain data. {_WAY_OUT}"
    )
