"""Estimators as JSON with numbered arrays."""

from __future__ import annotations

import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline

from skfer import _training
from skfer._images._pixel_range import PixelRange
from skfer._inference import OnnxBackend, OnnxNetwork
from skfer._inference._onnx_graph import UnsupportedLayerError, build_onnx_model
from skfer._utils import page, printable, shorten
from skfer.estimators._base import is_keras_model
from skfer.networks import list_networks
from skfer.networks._allowed_layers import NetworkLimits, check_weights, count_layers, with_indices
from skfer.networks._keras_settings import standard_keras
from skfer.networks._registry import is_model_file
from skfer.persistence._allowed_classes import (
    ALLOWED,
    NOT_SAVED,
    class_name,
    import_class,
    is_allowed_attribute,
)
from skfer.weights import list_weights

_OPTIMIZERS = {
    "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lion", "Nadam",
    "RMSprop", "SGD",
}  # fmt: skip
# Parameters that name a folder of the machine that wrote the file.
_FOLDERS = {"memory", "checkpoint_dir"}
# Limits on the content of a loaded file. `skfer.save` checks those on parameters too.
_MAX_ESTIMATORS = 200
_MAX_LAYERS = 4000  # in all networks
_MAX_NUMBER = 1e9
_MAX_PIXEL = 1e6
_LIMITS: dict[str, tuple[float, float]] = {
    "C": (0, math.inf),  # no penalty
    "n_jobs": (-256, 256),
    "margin": (0, 10),
    "size": (1, 4096),
    "temperature": (0.01, 100),
    "scale_factor": (1.05, 100),
    "max_side": (1, 8192),
    "random_state": (0, 2**32),
    **dict.fromkeys(("orientations", "pixels_per_cell", "cells_per_block"), (1, 4096)),
    **dict.fromkeys(("grid", "radius"), (0, 256)),
}
# Limits on fitted attributes, on each of their values. The others of skfer must be finite.
_ATTRIBUTE_LIMITS: dict[str, tuple[float, float]] = {
    "class_prior_": (0, 1),
    "codes_": (0, _MAX_NUMBER),
    "fine_tune_epoch_": (0, _MAX_NUMBER),
    "n_features_in_": (0, _MAX_NUMBER),
    "n_iter_": (0, _MAX_NUMBER),
    "n_outputs_": (1, _MAX_NUMBER),
    "n_samples_seen_": (0, 2**53),
    "scores_": (-1, 2),  # of probabilities
    "target_range_": (-_MAX_NUMBER, _MAX_NUMBER),
    "temperature_": _LIMITS["temperature"],
    "_n_features_out": (0, _MAX_NUMBER),
    "_seed": (0, 2**32),
}
# It may hold NaN: the losses of a fit that diverged.
_NOT_CHECKED = {"history_"}
# Images and outputs for which each network of skfer needs a few hundred MB at most.
_MAX_KNOWN_IMAGE = 256 * 256 * 3
_MAX_KNOWN_OUTPUTS = 1000
_ADVICE = (
    "Save it with joblib.dump, whose files may run any code when they are loaded. "
    f"See {page('guide/deploy')}"
)


# Former names of parameters, which are keys of `fine_tune` now.
_FINE_TUNE_KEYS = {
    "frozen_epochs": "frozen_epochs",
    "fine_tune_from": "first_layer",
    "fine_tune_learning_rate": "learning_rate",
}


class Writer:
    """Convert estimators to plain data, which refers to `arrays` by their index."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []

    def estimator(self, estimator: Any, where: str) -> dict[str, Any]:
        """Return the entry of an estimator."""
        name = class_name(estimator)
        if name is None:
            raise ValueError(_refusal(estimator, where))
        values = estimator.get_params(deep=False)
        cls = type(estimator)
        for parameter, value in values.items():
            try:
                _check_limits(cls, parameter, value)
            except ValueError as error:
                raise ValueError(f"{error}, and skfer.load would refuse it. {_ADVICE}") from error
        parameters = {
            parameter: self.value(
                None if parameter in _FOLDERS else value, _inside(where, cls, parameter)
            )
            for parameter, value in values.items()
        }
        entry: dict[str, Any] = {"class": name, "parameters": parameters}
        attributes = {
            name: value
            for name, value in vars(estimator).items()
            if name not in values and name not in NOT_SAVED
        }
        network = attributes.pop("_network", None)
        for name, value in attributes.items():
            read = value.item() if isinstance(value, np.generic) else value
            if not is_allowed_attribute(cls, name, read):
                raise ValueError(
                    f"{where} has an attribute {name} ({type(value).__name__}), which a file of "
                    f"skfer.save can't hold. {_ADVICE}"
                )
        entry["attributes"] = {
            name: self.value(value, f"{where}.{name}") for name, value in attributes.items()
        }
        if network is not None:
            entry["network"] = self._network(network, where)
        return entry

    def value(self, value: Any, where: str) -> Any:
        """Return a value as plain data."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, np.generic):
            return self.value(value.item(), where)
        if isinstance(value, PixelRange):
            return {"pixel_range": [value.low, value.high]}
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            items = [self.value(item, _item(where, item)) for item in value]
            return items if isinstance(value, list) else {"tuple": items}
        if type(value) is dict:
            pairs = ([self.value(part, where) for part in pair] for pair in value.items())
            return {"dict": list(pairs)}
        if isinstance(value, np.ndarray):
            return self._array(value, where)
        if isinstance(value, Path):
            return {"path": str(value)}
        if is_keras_model(value):
            return {"model": self._network(value, where)}
        if _is_optimizer(value):
            return self._optimizer(value, where)
        if hasattr(value, "get_params"):
            return {"estimator": self.estimator(value, where)}
        raise ValueError(_refusal(value, where))

    def _network(self, network: Any, where: str) -> dict[str, Any]:
        if isinstance(network, OnnxNetwork):
            description, arrays = network.read()
            return with_indices(description, lambda index: self._add(arrays[index]))
        from skfer.networks._description import describe

        try:
            return describe(network, self._add)
        except ValueError as error:
            raise ValueError(
                f"{where} has a network that a file of skfer.save can't hold: {error}. {_ADVICE}"
            ) from error

    def _array(self, array: np.ndarray, where: str) -> dict[str, Any]:
        if array.dtype.kind == "U" and not all(map(_is_unicode, array.ravel())):
            raise ValueError(f"{where} holds text that is not Unicode. {_ADVICE}")
        if array.dtype.kind in "biuf" or (array.dtype.kind == "U" and array.size):
            return {"array": self._add(array)}
        if array.ndim != 1 or array.dtype.kind not in "OU":
            raise ValueError(
                f"{where} is an array of {array.dtype}, which is not plain data. {_ADVICE}"
            )
        return {"objects": [self.value(item, where) for item in array.tolist()]}

    def _optimizer(self, optimizer: Any, where: str) -> dict[str, Any]:
        kind = type(optimizer).__name__
        settings = optimizer.get_config()
        if kind not in _OPTIMIZERS or not all(map(_is_plain, settings.values())):
            raise ValueError(
                f"{where} is an optimiser with settings that are not plain data ({kind}). Give its "
                f"name, with learning_rate and schedule. {_ADVICE}"
            )
        return {"optimizer": {"class": kind, "settings": self.value(settings, where)}}

    def _add(self, array: np.ndarray) -> int:
        self.arrays.append(array)
        return len(self.arrays) - 1


class Reader:
    """Build estimators from plain data.

    `custom_networks` are the estimators whose network is not one of `skfer.networks`. It is built
    layer by layer.
    """

    def __init__(self, arrays: Sequence[np.ndarray]):
        self._arrays = arrays
        self._n_estimators = self._n_layers = 0
        self.custom_networks: list[Any] = []

    def estimator(self, entry: dict[str, Any]) -> Any:
        """Return the estimator of an entry of `Writer.estimator`."""
        self._n_estimators += 1
        if self._n_estimators > _MAX_ESTIMATORS:
            raise ValueError(f"it holds more than {_MAX_ESTIMATORS} estimators")
        cls: Any = import_class(entry["class"])
        parameters = {name: self.value(value) for name, value in entry["parameters"].items()}
        parameters = {
            name: _without_path(cls, name, value) for name, value in _renamed(parameters).items()
        }
        for name, value in parameters.items():
            _check_limits(cls, name, value)
        if (parameters.get("n_jobs") or 0) > 1:  # a FeatureUnion starts as many processes
            parameters["n_jobs"] = min(parameters["n_jobs"], os.cpu_count() or 1)
        estimator = cls(**parameters)
        if hasattr(estimator, "_parameter_constraints"):
            estimator._validate_params()
        for name, value in entry["attributes"].items():
            value = self.value(value)
            if name in parameters or not is_allowed_attribute(cls, name, value):
                raise ValueError(f"{cls.__name__} has no attribute {name!r} of that kind")
            _check_attribute(cls, name, value)
            vars(estimator)[name] = value
        _check_lengths(estimator)
        if "network" in entry:
            self._set_network(estimator, entry["network"])
        return estimator

    def _set_network(self, estimator: Any, description: dict[str, Any]) -> None:
        _check_network_attributes(estimator)
        self._count_layers(description)
        estimator._built_with = None
        try:
            network = _onnx_network(description, self._arrays)
        except UnsupportedLayerError:
            self._set_keras_network(estimator, description)
            return
        _check_fits(estimator, network.input_shape, network.output_shape)
        estimator._set_network(network)

    @standard_keras()
    def _set_keras_network(self, estimator: Any, description: dict[str, Any]) -> None:
        """Set a network that can't be exported to ONNX."""
        from skfer.networks._description import build_within_limits, set_weights

        _training.prepare_tensorflow()
        network = _known_network(estimator, description)
        if network is None or not set_weights(network, description, self._arrays):
            network = build_within_limits(description, self._arrays)
            estimator._built_with = None
            self.custom_networks.append(estimator)
        _check_fits(estimator, network.input_shape[1:], network.output_shape[1:])
        estimator._set_network(network)

    def value(self, value: Any) -> Any:
        """Return the value of plain data."""
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, str) and not _is_unicode(value):
            raise ValueError(f"it holds text that is not Unicode, {value!r:.80}")
        if not isinstance(value, dict):
            return value
        ((kind, held),) = value.items()
        readers: dict[str, Callable[[Any], Any]] = {
            "float": lambda text: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[text],
            "pixel_range": lambda ends: PixelRange(*map(float, ends)),
            "tuple": lambda items: tuple(map(self.value, items)),
            "dict": lambda pairs: {self.value(key): self.value(held) for key, held in pairs},
            "array": lambda index: self._arrays[index],
            "objects": lambda items: _objects(list(map(self.value, items))),
            "path": Path,
            "model": self._model,
            "optimizer": self._optimizer,
            "estimator": self.estimator,
        }
        if kind not in readers:
            raise ValueError(f"it holds a value of the kind {kind!r}, which is not known")
        return readers[kind](held)

    def _count_layers(self, description: dict[str, Any]) -> None:
        self._n_layers += count_layers(description)
        if self._n_layers > _MAX_LAYERS:
            raise ValueError(f"its networks have more than {_MAX_LAYERS:,} layers")

    @standard_keras()
    def _model(self, description: dict[str, Any]) -> Any:
        from skfer.networks._description import build_within_limits

        self._count_layers(description)
        _training.prepare_tensorflow()
        return build_within_limits(description, self._arrays)

    def _optimizer(self, entry: dict[str, Any]) -> Any:
        settings = self.value(entry["settings"])
        if entry["class"] not in _OPTIMIZERS or not all(map(_is_plain, settings.values())):
            raise ValueError(f"it holds an optimiser {entry['class']!r}, which is not known")
        import keras

        return getattr(keras.optimizers, entry["class"])(**settings)


def _known_network(estimator: Any, description: dict[str, Any]) -> Any:
    """Build the network that the estimator names, or return None if it can't be built cheaply.

    The parameters are those of the file, so only networks with default parameters are built, for
    small images.
    """
    from skfer.estimators._network import resolve_network

    try:
        network, _ = resolve_network(estimator)
    except ValueError:  # of weights that do not tell their network
        return None
    named = isinstance(network, str) and network in list_networks()
    small = math.prod(estimator.image_shape_) <= _MAX_KNOWN_IMAGE
    if not named or not small or estimator.network_params:
        return None
    n_outputs = getattr(estimator, "n_outputs_", None) or len(estimator.classes_)
    if n_outputs > _MAX_KNOWN_OUTPUTS:
        return None
    with _training.isolated_random_state(0):
        try:
            return estimator._rebuild(n_outputs)
        except (ValueError, TypeError):
            return None  # an option that the network does not take: it is built layer by layer


def _check_network_attributes(estimator: Any) -> None:
    name = type(estimator).__name__
    if not hasattr(estimator, "_set_network"):
        raise ValueError(f"{name} has no network")
    missing = [a for a in ("image_shape_", "pixel_range_", "_seed") if not hasattr(estimator, a)]
    if not (hasattr(estimator, "classes_") or hasattr(estimator, "n_outputs_")):
        missing.append("classes_")
    if missing:
        raise ValueError(f"{name} has a network and no {missing[0]}")
    shape = estimator.image_shape_
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise ValueError(f"{name}.image_shape_ is {shape}")
    low, high = estimator.pixel_range_.low, estimator.pixel_range_.high
    if not -_MAX_PIXEL <= low < high <= _MAX_PIXEL:
        raise ValueError(f"{name}.pixel_range_ is {low:g} to {high:g}")


def _onnx_network(description: dict[str, Any], arrays: Sequence[np.ndarray]) -> OnnxNetwork:
    """Return a described network in ONNX, which has answered for a blank image."""
    weights: list[np.ndarray] = []  # those of this network

    def add(index: int) -> int:
        weights.append(arrays[index])
        return len(weights) - 1

    try:
        networks = {"network": (with_indices(description, add), weights)}
        network = OnnxNetwork(build_onnx_model(networks, limits=NetworkLimits()))
    except UnsupportedLayerError:
        raise
    except Exception as error:  # a description of another form raises many types
        raise ValueError(f"its network can't be built: {error}") from error
    check_weights(description, arrays)
    try:
        OnnxBackend(network)(np.zeros((1, *network.input_shape), np.float32))
    except Exception as error:  # ONNX Runtime raises many types
        raise ValueError(f"its network can't be run: {error}") from error
    return network


def _is_optimizer(value: Any) -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.optimizers.Optimizer)


def _check_fits(
    estimator: Any, input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> None:
    classes = getattr(estimator, "classes_", None)
    n_outputs = estimator.n_outputs_ if classes is None else len(classes)
    if input_shape != estimator.image_shape_ or output_shape != (n_outputs,):
        raise ValueError(
            f"its network takes images of shape {input_shape} and gives outputs of shape "
            f"{output_shape}, which does not fit its images and classes"
        )


def _renamed(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return parameters by their present names; files of format 1 may have former ones."""
    former = {
        name: parameters.pop(name) for name in (*_FINE_TUNE_KEYS, "patience") if name in parameters
    }
    if "patience" in former and parameters.get("backend") == "keras":
        parameters["backend"] = "auto"  # the default
    patience = former.pop("patience", None)
    if patience is not None and parameters.get("early_stopping"):
        parameters["early_stopping"] = max(patience, 1)  # 0 stopped in the same epoch
    fine_tune = {
        _FINE_TUNE_KEYS[name]: value for name, value in former.items() if value is not None
    }
    return {**parameters, "fine_tune": fine_tune} if fine_tune else parameters


def _without_path(cls: type, name: str, value: Any) -> Any:
    """Return the parameter, or None for a path: a file that is loaded opens no path it names."""
    if name in _FOLDERS:
        return None
    if name == "network" and is_model_file(value):
        return f"loaded from {Path(value).name}"  # not a file name: a later fit can't open it
    named = {"weights": [*list_weights(), "imagenet"], "model": []}
    if name in named and isinstance(value, str | Path) and value not in named[name]:
        if cls.__name__ == "YuNetDetector":
            warnings.warn(
                f"The file names {str(value)[:80]!r} as the model of YuNetDetector. It is not "
                "opened; model=None is used. Set the parameter `model` to use another file.",
                UserWarning,
                stacklevel=2,
            )
        return None
    return value


def _check_limits(cls: type, name: str, value: Any) -> None:
    """Raise an error if a number in a parameter is outside its limits."""
    low, high = _LIMITS.get(name, (-_MAX_NUMBER, _MAX_NUMBER))
    for number in _numbers_in(value):
        if not low <= number <= high:
            raise ValueError(
                f"{cls.__name__} has {name}={shorten(number)}, which is not between {low:g} and "
                f"{high:g}"
            )


def _check_attribute(cls: type, name: str, value: Any) -> None:
    """Raise an error if a number in a fitted attribute is not finite or outside its limits."""
    if name in _NOT_CHECKED:
        return
    low, high = _ATTRIBUTE_LIMITS.get(name, (-math.inf, math.inf))
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf" and value.size:
        numbers = [value.min().item(), value.max().item()]  # NaN if there is one
    else:
        numbers = list(_numbers_in(value))
    for number in numbers:
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(f"{cls.__name__}.{name} holds NaN or infinity")
        if not low <= number <= high:
            raise ValueError(
                f"{cls.__name__}.{name} holds {shorten(number)}, which is not between {low:g} and "
                f"{high:g}"
            )


def _check_lengths(estimator: Any) -> None:
    """Raise an error if fitted attributes of an estimator do not fit together."""
    found = vars(estimator)
    expected: dict[str, tuple[Any, ...]] = {}
    if "classes_" in found:
        n_classes = len(np.ravel(found["classes_"]))
        expected = {"classes_": (n_classes,), "class_prior_": (n_classes,)}
        if "coef_" in found:  # of two classes, scikit-learn keeps one row
            n_rows = 1 if n_classes == 2 else max(n_classes, 3)
            expected["coef_"] = (n_rows, estimator.n_features_in_)
        if len(np.unique(found["classes_"].astype(str))) < n_classes:
            raise ValueError(f"{type(estimator).__name__}.classes_ names a class twice")
        if "codes_" in found and (found["codes_"] >= n_classes).any():
            raise ValueError(f"{type(estimator).__name__}.codes_ are not all below {n_classes}")
    if "codes_" in found:
        n_scores = np.size(found["codes_"])
        expected |= {"codes_": (n_scores,), "scores_": (n_scores,)}
    if "n_outputs_" in found:
        expected["target_range_"] = (found["n_outputs_"], 2)
    for name, shape in expected.items():
        if name in found and found[name].shape != shape:
            raise ValueError(
                f"{type(estimator).__name__}.{name} has the shape {found[name].shape}, where "
                f"{shape} is expected"
            )


def _numbers_in(value: Any) -> Iterator[int | float]:
    """Yield the numbers of a value, of lists and dicts too."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers_in(item)
    elif isinstance(value, np.number):
        yield value.item()
    elif isinstance(value, int | float):
        yield value


def _objects(items: list[Any]) -> np.ndarray:
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


def _is_unicode(text: str) -> bool:
    return printable(text, controls=False) == text


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _inside(where: str, cls: type, name: str) -> str:
    """Return the name of a parameter in errors; steps of a Pipeline are named by `_item`."""
    return where if issubclass(cls, FeatureUnion | Pipeline) else f"{where}.{name}"


def _item(where: str, item: Any) -> str:
    """Return the name of an item of a list in errors, such as a step of a Pipeline."""
    named = isinstance(item, tuple) and len(item) > 1 and hasattr(item[1], "get_params")
    return f"{where}[{item[0]!r}]" if named else where


def _refusal(value: Any, where: str) -> str:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if hasattr(value, "best_estimator_"):
        return f"{where} is a {type(value).__name__}: save its best_estimator_ instead."
    if where.endswith(".callbacks"):
        return f"{where} can't be saved: set callbacks=None."
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
            f"{register if network else ''}{_ADVICE}"
        )
    return (
        f"{where} is a {kind}, which a file of skfer.save can't hold. It holds "
        f"{', '.join(ALLOWED)}, and plain data. {_ADVICE}"
    )
