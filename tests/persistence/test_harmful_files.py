import copy
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from _utils import untrained_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline

import skfer
from skfer.detection import HaarDetector, YuNetDetector

# Load the file, predict one photo and print the peak memory in MB.
LOAD_AND_PREDICT = """
import resource, sys
import numpy as np
import skfer
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    proba = skfer.load(sys.argv[1]).predict_proba([np.full((64, 64), 200, np.uint8)])
    print("finite", np.isfinite(proba).all())
except ValueError as error:
    print("ValueError", str(error)[:300])
print("MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.fixture(scope="module")
def known(unpacked, tmp_path_factory):
    classifier = untrained_classifier("mini_xception", (24, 24, 1), ["happy", "sad", "surprise"])
    return unpacked(skfer.save(classifier, tmp_path_factory.mktemp("known") / "known.skfer"))


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("abort", "strides=2147483647 is beyond the limit"),
        ("wide24", "size=512 is beyond the limit"),
        ("slow60", "size=512 is beyond the limit"),
        ("nan_weights", r"weights 001\.npy of its layer 'conv2d' hold NaN"),
    ],
)
def test_harmful_model_files(skfer_data, name, message):
    with pytest.raises(ValueError, match=message):
        skfer.load(skfer_data / "data" / "cases" / f"{name}.skfer")


@pytest.mark.slow
@pytest.mark.real_data
def test_detector_path_is_not_opened(skfer_data):
    with pytest.warns(UserWarning, match="'/dev/zero' as the model of YuNetDetector"):
        loaded = skfer.load(skfer_data / "data" / "cases" / "yunet_devzero.skfer")
    assert loaded["facecropper"].detector.model is None


def test_paths_are_not_opened(tmp_path):
    cropper = skfer.FaceCropper(YuNetDetector("detector.onnx", score_threshold=0.8))
    with pytest.warns(UserWarning, match="not opened"):
        loaded = skfer.load(skfer.save(cropper, tmp_path / "a.skfer"))
    assert loaded.detector.model is None
    assert loaded.detector.score_threshold == 0.8
    classifier = skfer.FacialExpressionClassifier(weights="other.keras", network="network.keras")
    loaded = skfer.load(skfer.save(classifier, tmp_path / "b.skfer"))
    assert loaded.weights is None
    assert loaded.network == "loaded from network.keras"


def test_number_of_estimators(tmp_path, sealed, unpacked):
    content, _ = unpacked(skfer.save(make_pipeline(skfer.GrayscaleResizer()), tmp_path / "a.skfer"))
    ((_, step),) = [item["tuple"] for item in content["estimator"]["parameters"]["steps"]]
    steps = [{"tuple": [f"s{i}", step]} for i in range(1000)]
    content["estimator"]["parameters"]["steps"] = steps
    with pytest.raises(ValueError, match="more than 200 estimators"):
        skfer.load(sealed(content))


def deepest(content):
    network = content["estimator"]["network"]
    while "model" in network["layers"][-1]:
        network = network["layers"][-1]["model"]
    return network["layers"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("strides", 2**31 - 1),
        ("strides", [1, 100]),
        ("kernel_size", 10**6),
        ("dilation_rate", 1000),
        ("filters", 10**12),
    ],
)
def test_extreme_layer_settings(known, sealed, setting, value):
    content, arrays = copy.deepcopy(known[0]), known[1]
    layer = next(layer for layer in deepest(content) if layer.get("class") == "Conv2D")
    layer["settings"][setting] = value
    with pytest.raises(ValueError, match=f"{setting}=.* is beyond the limit"):
        skfer.load(sealed(content, arrays))


def graph(layers, shape=(24, 24, 1)):
    start = {"name": "start", "from": [], "class": "InputLayer", "shape": [*shape]}
    pool = {"name": "pool", "from": [layers[-1]["name"]], "class": "GlobalAveragePooling2D"}
    end = {"name": "end", "from": ["pool"], "class": "Dense", "weights": [1, 2]}
    end["settings"] = {"units": 2, "activation": "softmax"}
    entries = [start | {"dtype": "float32"}, *layers, pool, end]
    entries = [{"settings": {}, "weights": [], **entry} for entry in entries]
    network = {"class": "Functional", "name": "free", "input": "start", "output": "end"}
    attributes = {"classes_": {"array": 0}, "_seed": 0, "image_shape_": {"tuple": list(shape)}}
    attributes["pixel_range_"] = {"pixel_range": [0.0, 255.0]}
    estimator = {"class": "FacialExpressionClassifier", "parameters": {}, "attributes": attributes}
    estimator["network"] = network | {"layers": entries}
    return {"format": 1, "versions": {}, "estimator": estimator}


HEAD = [np.array(["happy", "sad"]), np.ones((1, 2), np.float32), np.zeros(2, np.float32)]


def layer(name, source, kind, **settings):
    sources = [source] if isinstance(source, str) else source
    return {"name": name, "from": sources, "class": kind, "settings": settings}


@pytest.mark.slow
def test_network_that_enlarges_images(sealed):
    path = sealed(graph([layer("up", "start", "UpSampling2D", size=2)]), HEAD)
    loaded = skfer.load(path)
    assert loaded.predict_proba(np.zeros((2, 24, 24, 1), np.uint8)).shape == (2, 2)


@pytest.mark.slow
def test_number_of_layers_of_all_networks(sealed):
    content = graph([layer("x", "start", "ReLU")])
    models = [{"model": content["estimator"]["network"]}] * 1200
    content["estimator"]["parameters"]["network_params"] = {"dict": [["a", models]]}
    with pytest.raises(ValueError, match="its networks have more than 4,000 layers"):
        skfer.load(sealed(content, HEAD))


@pytest.mark.slow
def test_memory_of_many_branches(sealed):
    n_branches = 60
    layers = [layer("up", "start", "UpSampling2D", size=40)]
    layers += [layer(f"u{i}", "up", "ReLU", max_value=float(i + 1)) for i in range(n_branches)]
    layers += [layer("max", [f"u{i}" for i in range(n_branches)], "Maximum")]
    content = graph(layers)
    command = [sys.executable, "-c", LOAD_AND_PREDICT, sealed(content, HEAD)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert process.returncode == 0, process.stderr[-500:]
    result, memory = process.stdout.strip().splitlines()
    assert result.startswith(("finite True", "ValueError"))
    assert float(memory.removeprefix("MB ")) < 1500


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [layer("a", "start", "UpSampling2D", size=64), layer("b", "a", "UpSampling2D", size=8)],
            "values in one layer",
        ),
        (
            [
                layer("up", "start", "UpSampling2D", size=60),
                *(layer(f"u{i}", "up", "ReLU") for i in range(200)),
                layer("sum", [f"u{i}" for i in range(200)], "Add"),
            ],
            "268,435,456 values for one image",
        ),
        (
            [
                layer("up", "start", "UpSampling2D", size=30),
                *(
                    layer(f"p{i + 1}", f"p{i}" if i else "up", "MaxPooling2D", pool_size=400,
                          strides=1, padding="same")
                    for i in range(3)
                ),
            ],
            "multiply-adds",
        ),
        (
            [layer(f"r{i + 1}", f"r{i}" if i else "start", "ReLU") for i in range(2100)],
            "2,103 layers; the limit is 2,000",
        ),
    ],
)  # fmt: skip
def test_network_limits(sealed, layers, message):
    with pytest.raises(ValueError, match=message):
        skfer.load(sealed(graph(layers), HEAD))


def test_network_that_crashes(sealed, monkeypatch):
    path = sealed(
        graph([layer("up", "start", "UpSampling2D", size=2, interpolation="bilinear")]), HEAD
    )
    monkeypatch.setattr("skfer.persistence._model_file._TRIAL_CODE", "import os; os.abort()")
    with pytest.raises(ValueError, match=r"sealed\.skfer' is not loaded.*in a process of its own"):
        skfer.load(path)
    assert skfer.load(path, trusted=True).classes_.tolist() == ["happy", "sad"]


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e30, -1.0])  # overflow; a negative variance
def test_nan_outputs(known, sealed, value):
    content, arrays = known
    filled = [np.full_like(a, value) if a.dtype == np.float32 else a for a in arrays]
    loaded = skfer.load(sealed(content, filled))
    images = np.random.default_rng(0).integers(0, 256, (2, 24, 24, 1), np.uint8)
    with pytest.raises(ValueError, match=r"NaN or infinity for X\[0\]"):
        loaded.predict(images)


def test_known_networks_without_trial(known, sealed, monkeypatch):
    monkeypatch.setattr("skfer.persistence._model_file._TRIAL_CODE", "raise SystemExit(1)")
    loaded = skfer.load(sealed(*known))
    assert loaded.network_.count_params() > 50_000
    content, arrays = known
    place = next(i for i, array in enumerate(arrays) if array.dtype == np.float32)
    changed = [array.copy() for array in arrays]
    changed[place].flat[0] = np.inf
    with pytest.raises(ValueError, match=rf"{place:03}\.npy of its layer .* hold NaN or infinity"):
        skfer.load(sealed(content, changed))


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [
        (skfer.FaceCropper(), "n_jobs", 3000),
        (HaarDetector(), "scale_factor", 1.01),
        (skfer.FaceCropper(), "margin", 1e9),
        (skfer.FaceCropper(), "min_face_size", 10**300),
        (skfer.GrayscaleResizer(), "size", 10**6),
        (skfer.GrayscaleResizer(), "size", {"tuple": [48, 10**6]}),
        (skfer.GrayscaleResizer(), "n_jobs", -(10**6)),
        (skfer.HOGDescriptor(), "orientations", 10**6),
        (skfer.LBPDescriptor(), "grid", 10**5),
        (skfer.FacialExpressionClassifier(), "temperature", 1e-300),
    ],
)
def test_extreme_parameters(tmp_path, sealed, unpacked, estimator, name, value):
    content, arrays = unpacked(skfer.save(estimator, tmp_path / "a.skfer"))
    content["estimator"]["parameters"][name] = value
    with pytest.raises(ValueError, match=f"has {name}=.*which is not between"):
        skfer.load(sealed(content, arrays))
    estimator.set_params(**{name: (48, 10**6) if isinstance(value, dict) else value})
    with pytest.raises(ValueError, match=f"has {name}=.*skfer.load would refuse it.*joblib.dump"):
        skfer.save(estimator, tmp_path / "b.skfer")
    assert not (tmp_path / "b.skfer").exists()


def test_number_of_jobs(tmp_path):
    union = FeatureUnion([("lbp", skfer.LBPDescriptor())], n_jobs=256)
    loaded = skfer.load(skfer.save(union, tmp_path / "a.skfer"))
    assert loaded.n_jobs == min(256, os.cpu_count())
    for n_jobs in (None, -1, 1):
        loaded = skfer.load(skfer.save(union.set_params(n_jobs=n_jobs), tmp_path / "a.skfer"))
        assert loaded.n_jobs == n_jobs


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("temperature_", {"float": "nan"}, "holds NaN or infinity"),
        ("temperature_", 0.0, "holds 0.0, which is not between 0.01 and 100"),
        ("temperature_", -1.0, "not between"),
        ("temperature_", 1e-300, "not between"),
        ("n_iter_", -5, "not between"),
        ("n_iter_", 10**400, "not between"),
        ("fine_tune_epoch_", 10**15, "not between"),
        ("_seed", -1, "not between"),
    ],
)
def test_invalid_fitted_numbers(known, sealed, name, value, message):
    content = copy.deepcopy(known[0])
    content["estimator"]["attributes"][name] = value
    with pytest.raises(ValueError, match=rf"sealed\.skfer.*Classifier\.{name} .*{message}"):
        skfer.load(sealed(content, known[1]))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("class_prior_", np.array([0.5, 0.5, -0.1]), "holds -0.1, which is not between 0 and 1"),
        ("class_prior_", np.array([0.5, np.nan, 0.5]), "holds NaN"),
        ("class_prior_", np.full(2, 0.5), r"has the shape \(2,\), where \(3,\) is expected"),
        ("classes_", np.array(["a", "b", "a"]), "names a class twice"),
        ("classes_", np.array([["a", "b", "c"]]), r"has the shape \(1, 3\)"),
    ],
)
def test_invalid_fitted_arrays(known, sealed, name, array, message):
    content = copy.deepcopy(known[0])
    content["estimator"]["attributes"][name] = {"array": len(known[1])}
    with pytest.raises(ValueError, match=rf"sealed\.skfer.*Classifier\.{name} {message}"):
        skfer.load(sealed(content, [*known[1], array]))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("classes_", {"array": 0}, r"coef_ has the shape \(1, 4\), where \(3, 4\) is expected"),
        ("classes_", {"array": 2}, r"coef_ has the shape \(1, 4\), where \(3, 4\) is expected"),
        ("classes_", {"array": 1}, r"classes_ has the shape \(1, 2\)"),
        ("classes_", ["a", "b"], "'list'"),
        ("coef_", {"array": 1}, r"coef_ has the shape \(1, 2\), where \(1, 4\) is expected"),
        ("coef_", 3, "'int'"),
    ],
)
def test_invalid_coefficients(tmp_path, sealed, unpacked, name, value, message):
    regression = LogisticRegression().fit(np.eye(4), ["happy", "sad"] * 2)
    content, arrays = unpacked(skfer.save(regression, tmp_path / "a.skfer"))
    content = json.loads(
        re.sub(r'"array": (\d+)', lambda m: f'"array": {int(m[1]) + 3}', json.dumps(content))
    )
    content["estimator"]["attributes"][name] = value
    wrong = [np.array(["a", "b", "c"]), np.array([["a", "b"]]), np.array(["a"])]
    with pytest.raises(ValueError, match=message):
        skfer.load(sealed(content, [*wrong, *arrays]))


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1, "estimator": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"format": 1, "estimator": {"class": ' + "9" * 5000 + "}}",
        '{"format": 1, "estimator": {}, "x": "' + "a" * 5_000_000 + '"}',
    ],
)
def test_expensive_json(sealed, monkeypatch, text):
    monkeypatch.setattr("skfer.persistence._model_file.json.dumps", lambda *args, **kwargs: text)
    path = sealed({})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"can't be (loaded|read) as a model"):
        skfer.load(path)


def test_long_values_are_shortened_in_errors(sealed):
    for content in [
        {"format": 10**3000, "versions": {"skfer": "x" * 10**6}},
        {"format": 1, "estimator": {"class": "A" * 10**6}},
    ]:
        with pytest.raises(ValueError, match=r"sealed\.skfer") as error:
            skfer.load(sealed(content))
        assert len(str(error.value)) < 1000


@pytest.mark.parametrize(
    "descriptor",
    [
        skfer.HOGDescriptor(orientations=64, pixels_per_cell=1, cells_per_block=16),
        skfer.LBPDescriptor(n_points=24, method="default"),
        skfer.HOGDescriptor(pixels_per_cell=4096, cells_per_block=4096),
    ],
    ids=str,
)
def test_large_descriptors(descriptor):
    with pytest.raises(ValueError, match=r"the limits are .* pixels and .* features"):
        descriptor.fit(np.zeros((1, 512, 512), np.uint8))
