"""Reading of Keras models that other programs saved."""

from __future__ import annotations

import json
import math
import os
import tempfile
import zipfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state

from skfer._storage import READ_ERRORS
from skfer._utils import page
from skfer.networks._allowed_layers import MAX_LAYERS
from skfer.networks._copies import copy_network, has_strided_pointwise
from skfer.networks._keras_settings import standard_keras
from skfer.networks._registry import is_model_file

_WHOLE = (
    "It must be a whole model (model.save(...)), or an architecture with weights: "
    "FacialExpressionClassifier.from_keras('model.json', weights='model.h5', ...)."
)
_KERAS_ZIP = {"config.json", "model.weights.h5"}
# First bytes of files that Keras does not read.
_MARKS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the model: run `git lfs pull` in the "
     "repository, or download the file from its page"),
    (b"\x1f\x8b", "is a gzip archive, not a model: extract it first"),
    (b"BZh", "is a bzip2 archive, not a model: extract it first"),
    (b"\xfd7zXZ", "is an xz archive, not a model: extract it first"),
    (b"7z\xbc\xaf", "is a 7z archive, not a model: extract it first"),
    (b"Rar!", "is a RAR archive, not a model: extract it first"),
    (b"\x93NUMPY", "is a NumPy array, not a model"),
)  # fmt: skip
# Limit on the characters of an architecture; EfficientNetB7 has 0.8 million.
_MAX_TEXT = 8_000_000
# Objects in a config that have a class and are not layers: those under keys with these endings, and
# the inputs of layers.
_NOT_LAYERS = ("_initializer", "_regularizer", "_constraint", "dtype")
_TENSOR = "__keras_tensor__"
# Limits on the bytes that a compressed file unpacks to and on the weights of a network: the larger
# of a number and a multiple of the size of the file.
_ANY_SIZE = 100_000_000
_MAX_RATIO = 20
_PICKLE = (
    "is a pickle, which may run any code when it is loaded, and not a Keras file: load it where it "
    "was made, and write model.save('model.keras') there"
)
_TORCH = "is a PyTorch file, not a Keras model: convert the model first"


@standard_keras()
def load_model_file(
    path: str | os.PathLike, weights: str | os.PathLike | None = None
) -> keras.Model:
    """Load a whole Keras model, or an architecture in JSON (path or text) with weights.

    It is not compiled. No code of the file runs: a model with a ``Lambda`` layer is refused.
    """
    name = model_name(path)
    kind, config = _read(path)
    if kind == "weights":
        raise ValueError(f"{name} holds weights alone, without the architecture. {_WHOLE}")
    if kind == "json" and weights is None:
        raise ValueError(
            f"{name} is an architecture without weights: name the file of the weights, "
            "FacialExpressionClassifier.from_keras('model.json', weights='model.h5', ...)."
        )
    source = path if weights is None else weights
    model = _built(config, name, _max_bytes(_weights_file(source)))
    load_weights(model, source)
    return copy_network(model) if has_strided_pointwise(model) else model


def load_weights(model: keras.Model, path: str | os.PathLike) -> None:
    """Set the weights of a model from a file of weights or of a whole model."""
    name = model_name(path)
    kind, _ = _read(path)
    if kind == "json":
        raise ValueError(f"weights={name} is an architecture in JSON, and holds no weights.")
    file = _weights_file(path)
    is_archive = kind == "zip" and file == Path(path)
    _check_weights(file, name, is_archive)
    try:
        suffix = ".keras" if is_archive else _suffix_of_hdf5(file)
        with tempfile.TemporaryDirectory() as folder:
            # Keras goes by the suffix of a file, which may be wrong.
            link = Path(folder) / f"model{suffix}"
            link.symlink_to(file.resolve())
            model.load_weights(link)
    except Exception as error:  # Keras raises whatever its reader of the format does
        raise ValueError(
            f"the weights in {name} don't fit the architecture {model.name!r}: {_short(error)}"
        ) from error
    for variable in model.weights:
        values = variable.value.numpy()  # Keras's conversion makes NumPy 2 warn
        if not np.isfinite(values.astype(np.float32)).all():
            raise ValueError(f"{name}: the weights {variable.path!r} hold NaN or infinity")


def is_json_text(model: Any) -> bool:
    """Return whether this is the text of an architecture, not a path."""
    return isinstance(model, str) and model.lstrip().startswith("{")


def is_model(network: Any) -> bool:
    """Return whether a ``network`` parameter is a Keras model, or the path of a saved one."""
    return isinstance(network, keras.Model) or is_model_file(network)


def model_name(model: Any) -> str:
    """Return the name of a model in errors: its path or its name."""
    if isinstance(model, keras.Model):
        return f"the model {model.name!r}"
    if is_json_text(model):
        return "the architecture in JSON"
    return repr(os.fspath(model))


def image_model(model: keras.Model, name: str) -> keras.Model:
    """Return a model of one image tensor and one output tensor, which may be given in lists."""
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    if not inputs or not outputs:
        raise ValueError(
            f"{name} is a {type(model).__name__} without a graph of layers, as subclassing "
            "keras.Model makes it: build it from keras.Input to the outputs and return "
            "keras.Model(inputs, outputs)."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"{name} has {len(inputs)} inputs and {len(outputs)} outputs; one image input and one "
            "output are needed. Of several outputs choose one: "
            "keras.Model(model.inputs, model.outputs[0])."
        )
    sequential = isinstance(model, keras.Sequential)
    if not sequential and any(isinstance(end, list | dict) for end in (model.input, model.output)):
        model = keras.Model(inputs[0], outputs[0], name=model.name)
    shape = tuple(model.input_shape[1:])
    advice = None
    if len(shape) != 3:
        advice = f"keras.layers.Reshape({shape}), model"
    elif shape[-1] not in (1, 3) and shape[0] in (1, 3):
        advice = "keras.layers.Permute((3, 1, 2)), model"
    if advice:
        raise ValueError(
            f"{name} takes inputs of shape {shape}, and images are (height, width, channels). Put "
            f"a layer before it: keras.Sequential([keras.Input((48, 48, 1)), {advice}]), with the "
            "size of your images, and give this to FacialExpressionClassifier.from_keras."
        )
    return model


def _read(path: str | os.PathLike) -> tuple[str, dict[str, Any]]:
    """Return the kind ("json", "zip", "hdf5" or "weights") and the architecture of a file."""
    name = model_name(path)
    if is_json_text(path):
        return "json", _parsed(os.fspath(path), name)
    path = Path(path)
    if path.is_dir():
        if all((path / part).is_file() for part in _KERAS_ZIP):
            return "zip", _parsed(_read_text(path / "config.json", name), name)
        raise ValueError(f"{name} {_describe_folder(path)}")
    if not path.is_file():
        raise ValueError(f"There is no model file {name}.")
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return _read_hdf5(path, name)
    if head.startswith(b"PK\x03\x04"):
        return "zip", _read_zip(path, name)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "json", _parsed(_read_text(path, name), name)
    raise ValueError(f"{name} {_describe(head, path)}. {_WHOLE} See {page('guide/transfer')}")


def _read_text(path: Path, name: str) -> str:
    with path.open("rb") as file:
        return _decoded(file.read(_MAX_TEXT + 1), name)


def _decoded(text: bytes, name: str) -> str:
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{name} has an architecture of more than {_MAX_TEXT:,} bytes.")
    return text.decode("utf-8-sig", errors="replace")


def _weights_file(path: str | os.PathLike) -> Path:
    """Return the file that holds the weights of a model, which may be an unpacked folder."""
    path = Path(path)
    return path / "model.weights.h5" if path.is_dir() else path


def _max_bytes(file: Path) -> int:
    """Return the limit on the bytes of the weights in a file."""
    return max(_ANY_SIZE, _MAX_RATIO * file.stat().st_size if file.is_file() else 0)


def _check_weights(file: Path, name: str, is_archive: bool) -> None:
    """Raise an error for weights in another file, or that unpack to far more than their file."""
    import h5py

    limit = _max_bytes(file)
    try:
        with ExitStack() as stack:
            content: Any = file
            if is_archive:
                archive = stack.enter_context(zipfile.ZipFile(file))
                if sum(info.file_size for info in archive.infolist()) > limit:
                    raise ValueError(f"it unpacks to more than {limit / 1e6:,.0f} MB")
                content = stack.enter_context(archive.open("model.weights.h5"))
            _check_datasets(stack.enter_context(h5py.File(content, "r")), limit)
    except (*READ_ERRORS, KeyError) as error:
        raise ValueError(f"{name} can't be read: {_short(error)}") from error


def _check_datasets(file: Any, limit: int) -> None:
    """Raise an error for data in another file, or that unpack to more than `limit` bytes."""
    import h5py

    total, groups, seen = 0, [file], set()
    while groups:
        group = groups.pop()
        for key in group:
            if not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise ValueError(f"it has a link to elsewhere, {key!r}")
            item = group[key]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                raise ValueError(f"it holds {key!r} twice")
            seen.add(address)
            if isinstance(item, h5py.Group):
                groups.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise ValueError(f"its data set {key!r} lies in another file")
                total += item.nbytes
    if total > limit:
        raise ValueError(f"it unpacks to more than {limit / 1e6:,.0f} MB")


def _read_hdf5(path: Path, name: str) -> tuple[str, dict[str, Any]]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            text = file.attrs.get("model_config")
    except (OSError, KeyError, RuntimeError, TypeError) as error:  # a damaged file of HDF5
        raise ValueError(f"{name} is a damaged HDF5 file: {_short(error)}") from error
    if text is None:
        return "weights", {}
    return "hdf5", _parsed(text.decode() if isinstance(text, bytes) else str(text), name)


def _suffix_of_hdf5(path: Path) -> str:
    """Return the suffix that tells Keras the layout of weights in HDF5."""
    import h5py

    with h5py.File(path, "r") as file:
        legacy = "layer_names" in file.attrs or "model_weights" in file
    return ".h5" if legacy else ".weights.h5"


def _read_zip(path: Path, name: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            text = None
            if members >= _KERAS_ZIP:
                with archive.open("config.json") as file:
                    text = file.read(_MAX_TEXT + 1)
    except READ_ERRORS as error:
        raise ValueError(f"{name} is a damaged zip archive: {_short(error)}") from error
    if text is not None:
        return _parsed(_decoded(text, name), name)
    if "skfer.json" in members:
        what = "is a file of skfer.save: skfer.load(path) loads it"
    elif any(member.endswith("data.pkl") for member in members):
        what = _TORCH
    elif members and all(member.endswith(".npy") for member in members):
        what = "is a NumPy archive (.npz), not a model"
    else:
        inside = [m for m in sorted(members) if m.endswith((".keras", ".h5", ".hdf5", ".json"))]
        what = "is a zip archive, not a model: extract it first" + (
            f". It holds {', '.join(map(repr, inside[:3]))}" if inside else ""
        )
    raise ValueError(f"{name} {what}.")


def _describe_folder(path: Path) -> str:
    if (path / "saved_model.pb").is_file():
        return (
            "is a folder in TensorFlow's SavedModel format, which Keras 3 does not train. Convert "
            "it with the package tf_keras: "
            "tf_keras.models.load_model(folder).save('model.h5')."
        )
    inside = sorted(p.name for p in path.iterdir() if p.suffix in (".keras", ".h5", ".hdf5"))
    return "is a folder, not a model file" + (
        f". It holds {', '.join(map(repr, inside[:3]))}: give one of these." if inside else "."
    )


def _describe(head: bytes, path: Path) -> str:
    """Return a description of a file that Keras does not read."""
    if not head:
        return "is empty"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--")):
        return "is a web page, not a model: download the file itself (GitHub's button 'raw')"
    for mark, what in _MARKS:
        if head.startswith(mark):
            return what
    if head[4:8] == b"TFL3":
        return "is a TensorFlow Lite model, which can't be trained: ask for the Keras model"
    if path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and b"onnx" in head[:200].lower()):
        return "is an ONNX model, not a Keras model: export the model from Keras with model.save"
    if head[257:262] == b"ustar":
        return "is a tar archive, not a model: extract it first"
    if head[8:10] == b'{"' and head[4:8] == bytes(4):
        return "is a safetensors file, weights without a Keras model"
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        return _TORCH if b"\xfc\x9cF\xf9" in head[:40] else _PICKLE
    if path.suffix.lower() == ".pb":
        return "is a TensorFlow graph (.pb), which Keras 3 does not load"
    if text.startswith((b"class_name:", b"backend:")):
        return "is an architecture in YAML, which Keras no longer reads: write model.to_json()"
    try:
        shown = " ".join(head.decode().split())[:60]
    except UnicodeDecodeError:
        return "is not a Keras model"
    return f"is a text file, not a model. It begins with {shown!r}"


def _parsed(text: str, name: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not valid JSON: {error}.") from error
    if not isinstance(config, dict) or "class_name" not in config or "config" not in config:
        known = "TensorFlow.js" if "modelTopology" in config else "JSON"
        raise ValueError(
            f"{name} is {known}, but not an architecture that Keras's model.to_json() wrote."
        )
    return config


def _built(config: dict[str, Any], name: str, max_weights: int) -> keras.Model:
    _refuse_code(config, name)
    if (n_layers := _count_layers(config)) > MAX_LAYERS:
        raise ValueError(f"{name} has {n_layers:,} layers; the limit is {MAX_LAYERS:,}.")
    config = {key: value for key, value in config.items() if key != "compile_config"}
    try:
        # Safe mode is the default of model_from_json, and holds for every layer inside.
        model = _model_of(json.dumps(_modern(config)), max_weights)
    except Exception as error:  # Keras raises whatever a layer does
        raise ValueError(
            f"{name} can't be read as a Keras model: {_short(error)}. A class of your own must be "
            "registered first: @keras.saving.register_keras_serializable()."
        ) from error
    if not isinstance(model, keras.Model):
        raise ValueError(f"{name} holds a {type(model).__name__}, not a model.")
    if not model.built:
        raise ValueError(
            f"{name} has no input shape: build it in Keras with keras.Input, load the weights, and "
            "give the model itself to FacialExpressionClassifier.from_keras."
        )
    return model


def _model_of(text: str, max_weights: int) -> Any:
    """Build a model; allocate memory for its weights only if it has at most `max_weights`."""
    try:
        with keras.StatelessScope() as scope:  # its variables are allocated when it ends
            scope.initialize_variables = False
            model = keras.models.model_from_json(text)
            new = global_state.get_global_attribute("uninitialized_variables", [])
            n_weights = sum(math.prod(variable.shape) for variable in new)
            if n_weights > max_weights:
                raise ValueError(f"it has {n_weights:,} weights, far more than its file can hold")
            scope.initialize_variables = True
    except BaseException:
        global_state.set_global_attribute("uninitialized_variables", [])
        raise
    return model


def _count_layers(config: Any, is_layer: bool = True) -> int:
    """Return the number of layers and models in a config; `is_layer` is whether it may be one."""
    if isinstance(config, list):
        return sum(_count_layers(item, is_layer) for item in config)
    if not isinstance(config, dict):
        return 0
    counts = is_layer and config.get("class_name", _TENSOR) != _TENSOR
    return counts + sum(
        _count_layers(value, not key.endswith(_NOT_LAYERS)) for key, value in config.items()
    )


def _refuse_code(config: Any, name: str) -> None:
    """Raise an error if an architecture holds Python code, or names files with code."""
    if isinstance(config, list):
        for item in config:
            _refuse_code(item, name)
    if not isinstance(config, dict):
        return
    kind = config.get("class_name")
    if kind in ("Lambda", "TFSMLayer", "__lambda__"):
        inner = config.get("config")
        layer = inner.get("name") if isinstance(inner, dict) else None
        raise ValueError(
            f"{name} has a layer that holds code, {layer!r} ({kind}), and is not loaded: such a "
            "file may do anything. If you trust who made it, load it with Keras's own "
            "load_model(path, safe_mode=False) and give the model to "
            "FacialExpressionClassifier.from_keras."
        )
    for value in config.values():
        _refuse_code(value, name)


# Names of classes in Keras 2 and 3.
_RENAMED = {
    "Model": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}
_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}
_DROPPED = {
    "DepthwiseConv2D": ("groups",),
    "InputLayer": ("ragged",),
    "SeparableConv2D": ("groups", "kernel_regularizer", "kernel_constraint"),
}


def _modern(layer: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a layer of Keras 1.2 to 2.15 in the form of Keras 3."""
    if "module" in layer and not str(layer["module"]).startswith("keras.src.engine"):
        return layer
    kind = _RENAMED.get(layer["class_name"], layer["class_name"])
    config = layer["config"]
    if kind == "Sequential":
        config = _modern_sequential(config)
    elif kind == "Functional":
        ends = {key: config[key] for key in ("input_layers", "output_layers")}
        # Keras 3 would take lists of one tensor, and give lists.
        ends = {key: end[0] if len(end) == 1 else end for key, end in ends.items()}
        config = config | ends | {"layers": [_modern(inner) for inner in config["layers"]]}
    else:
        config = _modern_settings(kind, dict(config))
    return layer | {
        "module": _MODULES.get(kind, "keras.layers"),
        "class_name": kind,
        "config": config,
        "registered_name": layer.get("registered_name") if "module" in layer else None,
    }


def _modern_sequential(config: Any) -> dict[str, Any]:
    if isinstance(config, list):  # Keras before 2.2
        config = {"layers": config}
    first, *others = config["layers"]
    start = []
    if first["class_name"] != "InputLayer":
        shape = _input_shape(first)
        inner = {"batch_shape": shape, "dtype": "float32", "name": "image"}
        start = [{"class_name": "InputLayer", "config": inner}] if shape else []
    layers = [_modern(inner) for inner in (*start, first, *others)]
    return {"name": config.get("name", "model"), "layers": layers}


def _input_shape(layer: dict[str, Any]) -> Any:
    """Return the input shape of the first layer of a Sequential or of a nested model."""
    config = layer["config"]
    if isinstance(config, dict) and "batch_input_shape" in config:
        return config["batch_input_shape"]
    inner = config if isinstance(config, list) else config.get("layers")
    return _input_shape(inner[0]) if inner else config.get("batch_shape")


def _modern_settings(kind: str, config: dict[str, Any]) -> dict[str, Any]:
    shape = config.pop("batch_input_shape", None)
    if kind == "InputLayer" and shape is not None:
        config["batch_shape"] = shape
    for name in _DROPPED.get(kind, ()):
        config.pop(name, None)
    for name in [name for name in config if name.endswith("_initializer")]:
        del config[name]  # the weights come from the file
    if kind == "BatchNormalization" and isinstance(config.get("axis"), list):
        (config["axis"],) = config["axis"]
    if kind == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if isinstance(config.get("dtype"), dict):
        config["dtype"] = config["dtype"].get("config", {}).get("name", "float32")
    return config


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]}..."
