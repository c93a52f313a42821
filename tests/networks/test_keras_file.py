import io
import json
import pickle
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from skfer.networks._keras_file import _built, image_model, load_model_file, load_weights

ZEROS = {"class_name": "Zeros", "config": {}}
VARIANCE = {
    "class_name": "VarianceScaling",
    "config": {"distribution": "uniform", "mode": "fan_avg", "scale": 1.0, "seed": None},
}


def conv(name, **settings):
    """A convolution as Keras 2 writes it."""
    regularizer = {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}}
    unused = ("bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint")
    config = {
        **{"name": name, "trainable": True, "filters": 4, "kernel_size": [3, 3], "strides": [1, 1]},
        **{"padding": "valid", "data_format": "channels_last", "dilation_rate": [1, 1]},
        **{"activation": "relu", "use_bias": True, "kernel_initializer": VARIANCE},
        **{"bias_initializer": ZEROS, "kernel_regularizer": regularizer},
        **dict.fromkeys(unused),
    }
    return {"class_name": "Conv2D", "config": config | settings}


def normalization(axis):
    ones = {"class_name": "Ones", "config": {}}
    config = {
        **{"name": "bn", "trainable": True, "axis": axis, "momentum": 0.99, "epsilon": 0.001},
        **{"center": True, "scale": True, "beta_initializer": ZEROS, "gamma_initializer": ones},
        **{"moving_mean_initializer": ZEROS, "moving_variance_initializer": ones},
        **dict.fromkeys(
            f"{w}_{kind}" for w in ("beta", "gamma") for kind in ("regularizer", "constraint")
        ),
    }
    return {"class_name": "BatchNormalization", "config": config}


def separable(kind):
    """A depthwise or separable convolution, with settings that Keras 3 does not know."""
    config = conv("sep", padding="same")["config"] | {"depth_multiplier": 1, "groups": 1}
    config |= {"depthwise_initializer": VARIANCE}
    config |= {"depthwise_regularizer": None, "depthwise_constraint": None}
    if kind == "DepthwiseConv2D":
        for name in ("filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            del config[name]
    else:
        config |= {"pointwise_initializer": VARIANCE, "pointwise_regularizer": None}
    return {"class_name": kind, "config": config}


def end():
    config = {"name": "dense", "trainable": True, "units": 3, "activation": "softmax"}
    flat = {"class_name": "Flatten", "config": {"name": "flat", "trainable": True}}
    return [flat, {"class_name": "Dense", "config": config | {"kernel_initializer": VARIANCE}}]


SHAPE = [None, 12, 12, 1]
FIRST = conv("first", batch_input_shape=SHAPE, dtype="float32")
START = {"batch_input_shape": SHAPE, "dtype": "float32", "sparse": False, "ragged": False}
INPUT = {"class_name": "InputLayer", "config": START | {"name": "start"}}
MIXED = {"class_name": "Policy", "config": {"name": "float32"}}
LEAKY = {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.1}}


def sequential(*parts):
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [*parts, *end()]}}


def graph(kind):
    placed, before = [], None
    for layer in (INPUT, conv("first"), normalization([3]), *end()):
        name = layer["config"]["name"]
        nodes = [[[before, 0, 0, {}]]] if before else []
        placed.append(layer | {"name": name, "inbound_nodes": nodes})
        before = name
    ends = {"input_layers": [["start", 0, 0]], "output_layers": [[before, 0, 0]]}
    return {"class_name": kind, "config": {"name": "model_1", "layers": placed, **ends}}


OLD = {
    "Keras 2.0": {"class_name": "Sequential", "config": [FIRST, *end()], "keras_version": "2.0.8"},
    "Keras 2.2": sequential(FIRST, normalization(-1)),
    "TensorFlow 1": sequential(FIRST, normalization([3])),
    "Keras 2.9": sequential(INPUT, conv("first", dtype=MIXED), LEAKY),
    "Keras 2.1 Model": graph("Model"),
    "Keras 2.4 Functional": graph("Functional"),
    "separable": sequential(FIRST, separable("SeparableConv2D")),
    "depthwise": sequential(FIRST, separable("DepthwiseConv2D")),
    "nested": sequential(
        {"class_name": "Sequential", "config": {"name": "base", "layers": [FIRST]}}
    ),
}


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((4, 12, 12, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def model():
    image = keras.Input((12, 12, 1))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    model.save(folder / "whole.keras")
    model.save(folder / "whole.h5")
    model.save_weights(folder / "new.weights.h5")
    (folder / "architecture.json").write_text(model.to_json())
    with h5py.File(folder / "whole.h5") as whole, h5py.File(folder / "old.h5", "w") as old:
        old.attrs.update(whole["model_weights"].attrs)
        for name in whole["model_weights"]:
            whole.copy(f"model_weights/{name}", old)
    with zipfile.ZipFile(folder / "whole.keras") as archive:
        archive.extractall(folder / "unpacked")
    return folder


@pytest.mark.parametrize("name", OLD)
def test_models_of_keras_2(name, images, tmp_path):
    text = json.dumps(OLD[name])
    path = tmp_path / "old.json"
    path.write_text("\n" + text)
    with pytest.raises(ValueError, match="architecture without weights"):
        load_model_file(path)
    built = _built(json.loads(text), "old", 10**8)
    assert built.input_shape == (None, 12, 12, 1)
    assert built.output_shape == (None, 3)
    built.save(tmp_path / "old.hdf5")
    with h5py.File(tmp_path / "old.hdf5", "a") as file:
        file.attrs["model_config"] = text
    for loaded in (
        load_model_file(tmp_path / "old.hdf5"),
        load_model_file(path, tmp_path / "old.hdf5"),
    ):
        np.testing.assert_allclose(loaded(images), built(images), atol=1e-6)


def test_single_tensors_and_training_configuration(files, model, images, tmp_path):
    shutil.copy(files / "whole.h5", tmp_path / "trained.h5")
    adam = {"class_name": "Adam", "config": {"lr": 0.001, "decay": 0.0, "unknown": 1}}
    with h5py.File(tmp_path / "trained.h5", "a") as file:
        file.attrs["training_config"] = json.dumps(
            {"optimizer_config": adam, "loss": "custom_loss", "metrics": ["custom_metric"]}
        )
    loaded = load_model_file(tmp_path / "trained.h5")
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)
    assert not loaded.compiled
    image = keras.Input((12, 12, 1))
    end = layers.Dense(3, activation="softmax")(layers.Flatten()(image))
    listed = keras.Model(inputs=[image], outputs=[end])
    listed.save(tmp_path / "listed.keras")
    for model in (listed, load_model_file(tmp_path / "listed.keras")):
        plain = image_model(model, "the model")
        assert plain.output_shape == (None, 3)
        expected = np.reshape(listed([images]), (4, 3))
        np.testing.assert_allclose(plain(images), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("whole", "name"),
    [
        ("whole.keras", "whole.keras"),
        ("whole.keras", "renamed.h5"),
        ("whole.h5", "whole.hdf5"),
        ("whole.h5", "renamed.keras"),
        ("unpacked", "folder.keras"),
    ],
)
def test_wrong_suffixes(files, model, images, tmp_path, whole, name):
    copy = shutil.copytree if (files / whole).is_dir() else shutil.copy
    copy(files / whole, tmp_path / name)
    np.testing.assert_allclose(load_model_file(tmp_path / name)(images), model(images), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "name"),
    [
        ("new.weights.h5", "new.weights.h5"),
        ("new.weights.h5", "plain.hdf5"),
        ("old.h5", "old.h5"),
        ("old.h5", "old.weights.h5"),
        ("whole.h5", "whole.h5"),
        ("whole.keras", "whole.keras"),
    ],
)
def test_weights_for_an_architecture(files, model, images, tmp_path, weights, name):
    shutil.copy(files / weights, tmp_path / name)
    for architecture in (files / "architecture.json", model.to_json()):
        loaded = load_model_file(architecture, tmp_path / name)
        np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)


def test_invalid_weights_and_folders(files, tmp_path):
    other = keras.Sequential([keras.Input((12, 12, 1)), layers.Flatten(), layers.Dense(3)])
    other.save_weights(tmp_path / "other.weights.h5")
    architecture = files / "architecture.json"
    with pytest.raises(ValueError, match=r"other.weights.h5' don't fit the architecture"):
        load_model_file(architecture, tmp_path / "other.weights.h5")
    with pytest.raises(ValueError, match="is an architecture in JSON, and holds no weights"):
        load_model_file(architecture, architecture)
    with pytest.raises(ValueError, match="holds weights alone, without the architecture"):
        load_model_file(files / "old.h5")
    with pytest.raises(ValueError, match="no model file"):
        load_model_file(tmp_path / "absent.keras")
    (tmp_path / "model.h5").touch()
    with pytest.raises(ValueError, match=r"folder, not a model file\. It holds 'model.h5'"):
        load_model_file(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"SavedModel.*tf_keras"):
        load_model_file(tmp_path)


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"x")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.keras", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"),
        ("m.h5", b"\n<!DOCTYPE html><html>", "is a web page, not a model"),
        ("m.h5", b"<html><head>", "is a web page"),
        ("m.h5", b"404: Not Found", "is a text file, not a model. It begins with '404: Not"),
        ("m.keras", b"", "is empty"),
        ("m.keras", b"\x1f\x8b\x08 rest", "gzip archive, not a model: extract"),
        ("m.keras", b"x" * 257 + b"ustar" + bytes(300), "tar archive"),
        ("m.h5", archive("emotion/model.h5"), "zip archive.*It holds 'emotion/model.h5'"),
        ("m.keras", archive("a.npy"), "NumPy archive"),
        ("m.h5", archive("model/data.pkl"), "PyTorch file"),
        ("m.h5", archive("skfer.json"), r"skfer.load\(path\)"),
        ("m.h5", b"PK\x03\x04 cut", "damaged zip archive"),
        ("m.h5", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "PyTorch file"),
        ("m.pkl", pickle.dumps({"a": 1}), "is a pickle, which may run any code"),
        ("m.tflite", b"\x1c\x00\x00\x00TFL3" + bytes(20), "TensorFlow Lite"),
        ("m.onnx", b"\x08\x07\x12\x07pytorch", "ONNX"),
        ("m.pb", b"\x0a\x10\xff\xff", r"TensorFlow graph \(.pb\)"),
        ("m.h5", (40).to_bytes(8, "little") + b'{"a":', "safetensors"),
        ("m.yaml", b"backend: tensorflow\nclass_name: Sequential", "YAML"),
        ("m.json", b'{"modelTopology": {}}', "TensorFlow.js, but not an architecture"),
        ("m.json", b'{"message": "Not Found"}', "JSON, but not an architecture"),
        ("m.json", b'{"class_name": ', "not valid JSON"),
        ("m.h5", b"\x89HDF\r\n\x1a\n cut", "damaged HDF5"),
        ("m.h5", b"\xff\xd8\xff\xe0 a photo", "is not a Keras model"),
    ],
)
def test_other_file_types(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name}' .*{message}") as caught:
        load_model_file(tmp_path / name)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
def test_code_is_refused(tmp_path, suffix):
    mark = tmp_path / "ran"

    def harm(pixels, where=str(mark)):
        import pathlib

        pathlib.Path(where).touch()
        return pixels

    start = [keras.Input((4, 4, 1)), layers.Lambda(harm, name="harm", output_shape=(4, 4, 1))]
    model = keras.Sequential([*start, layers.Flatten(), layers.Dense(2, activation="softmax")])
    weights = None
    if suffix == ".json":
        (tmp_path / "bad.json").write_text(model.to_json())
        weights = tmp_path / "bad.weights.h5"
        model.save_weights(weights)
    else:
        model.save(tmp_path / f"bad{suffix}")
    mark.unlink(missing_ok=True)
    with pytest.raises(ValueError, match="layer that holds code, 'harm'"):
        load_model_file(tmp_path / f"bad{suffix}", weights)
    assert not mark.exists()


def test_invalid_architectures_and_unreadable_weights(tmp_path, monkeypatch):
    inner = {"class_name": "Lambda", "config": {"name": "hidden", "function": ["4wEA", None, None]}}
    wrapper = {"class_name": "TimeDistributed", "config": {"name": "t", "layer": inner}}
    for bad in (sequential(FIRST, wrapper), sequential(FIRST, inner | {"class_name": "TFSMLayer"})):
        with pytest.raises(ValueError, match="layer that holds code, 'hidden'"):
            load_model_file(json.dumps(bad), "weights.h5")
    unknown = {"class_name": "Attention2D", "config": {"name": "a"}}
    with pytest.raises(ValueError, match=r"Attention2D.*register_keras_serializable"):
        load_model_file(json.dumps(sequential(FIRST, unknown)), "weights.h5")
    path = tmp_path / "a.h5"
    network = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    network.save(path)

    def fail(*_):
        raise KeyError("Unable to synchronously open object")

    monkeypatch.setattr(h5py.Group, "__contains__", fail)
    with pytest.raises(ValueError, match=r"a\.h5"):
        load_weights(network, path)


def small_model():
    start = keras.Input((8, 8, 1))
    end = layers.Dense(2, activation="softmax", name="end")(layers.Flatten()(start))
    return keras.Model(start, end)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.json": b" " * 9_000_000}, "architecture of more than 8,000,000 bytes"),
        ({"model.weights.h5": bytes(3_000_000)}, "unpacks to more than 1 MB"),
        ({"assets/a": bytes(3_000_000)}, "unpacks to more than 1 MB"),
    ],
)
def test_compression_bombs(tmp_path, monkeypatch, change, message):
    monkeypatch.setattr("skfer.networks._keras_file._ANY_SIZE", 1_000_000)
    small_model().save(tmp_path / "small.keras")
    with zipfile.ZipFile(tmp_path / "small.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (parts | change).items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=rf"bomb\.keras' .*{message}"):
        load_model_file(tmp_path / "bomb.keras")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"class_name": "Functional", "config": ' + "[" * 50_000, "is not valid JSON"),
        ('{"class_name": "Functional", "config": ' + "9" * 9000 + "}", "is not valid JSON"),
        (json.dumps({"class_name": "Functional", "config": [{"class_name": "ReLU"}] * 3000}),
         "3,001 layers; the limit is 2,000"),
    ],
)  # fmt: skip
def test_oversized_architectures(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "a.weights.h5").touch()
    with pytest.raises(ValueError, match=rf"a\.json' .*{message}"):
        load_model_file(tmp_path / "a.json", tmp_path / "a.weights.h5")


def test_limit_on_layers_counts_layers_only(tmp_path, monkeypatch):
    """Initialisers, dtypes and tensors of a config have classes too."""
    start = keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, kernel_regularizer="l2", bias_constraint="non_neg")(start)
    branch = keras.Sequential([keras.Input((6, 6, 2)), layers.BatchNormalization()])(x)
    x = layers.Flatten()(layers.Add()([x, branch]))
    model = keras.Model(start, layers.Dense(2, activation="softmax")(x))
    model.save(tmp_path / "a.keras")
    # Input, Conv2D, Sequential (Input, BatchNormalization), Add, Flatten, Dense; the model itself.
    monkeypatch.setattr("skfer.networks._keras_file.MAX_LAYERS", 9)
    assert load_model_file(tmp_path / "a.keras").count_params() == model.count_params()
    monkeypatch.setattr("skfer.networks._keras_file.MAX_LAYERS", 8)
    with pytest.raises(ValueError, match="9 layers; the limit is 8"):
        load_model_file(tmp_path / "a.keras")


def test_missing_weights_are_not_allocated(tmp_path):
    model = small_model()
    model.save_weights(tmp_path / "a.weights.h5")
    config = json.loads(model.to_json())
    config["config"]["layers"][-1]["config"]["units"] = 10**11
    with pytest.raises(ValueError, match="6,500,000,000,000 weights, far more than its file"):
        load_model_file(json.dumps(config), tmp_path / "a.weights.h5")
    # The failure does not affect the next model.
    config["config"]["layers"][-1]["config"]["units"] = 2
    loaded = load_model_file(json.dumps(config), tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def delete_kernel(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if name.endswith("kernel") else None)
    group, name = file[found[0]].parent, found[0].rsplit("/")[-1]
    shape = group[name].shape
    del group[name]
    return group, name, shape


def store_outside(file, other):
    group, name, shape = delete_kernel(file)
    group.create_dataset(name, shape, "f4", external=[(str(other), 0, h5py.h5f.UNLIMITED)])


def link_outside(file, other):
    group, name, _ = delete_kernel(file)
    group[name] = h5py.ExternalLink(str(other), "/a")


def map_outside(file, other):
    group, name, shape = delete_kernel(file)
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource(str(other), "/a", shape=shape)
    group.create_virtual_dataset(name, layout)


def declare_gigabytes(file, _):
    group, name, _ = delete_kernel(file)
    group.create_dataset(name, (40_000, 20_000), "f4", chunks=(1000, 1000), fillvalue=0)


def link_to_itself(file, _):
    file["model_weights/again"] = file["model_weights"]


def write_nan(file, _):
    file.visititems(
        lambda name, item: (
            item.write_direct(np.full(item.shape, np.nan, np.float32))
            if name.endswith("kernel")
            else None
        )
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (store_outside, "data set 'kernel' lies in another file"),
        (link_outside, "a link to elsewhere, 'kernel'"),
        (map_outside, "data set 'kernel' lies in another file"),
        (declare_gigabytes, "unpacks to more than 100 MB"),
        (link_to_itself, "holds 'again' twice"),
        (write_nan, "hold NaN or infinity"),
    ],
)
def test_harmful_weights_in_hdf5(tmp_path, change, message):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["a"] = np.ones((64, 2), np.float32)
    path = tmp_path / "bad.h5"
    small_model().save(path)
    with h5py.File(path, "a") as file:
        change(file, other)
    with pytest.raises(ValueError, match=rf"bad\.h5'.*{message}"):
        load_model_file(path)
    with zipfile.ZipFile(path, "a") as archive:  # its weights are not those that Keras reads
        archive.write(other, "model.weights.h5")
    with pytest.raises(ValueError, match=rf"bad\.h5'.*{message}"):
        load_model_file(path)
