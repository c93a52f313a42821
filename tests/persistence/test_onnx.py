import copy
import json
import logging
import sys

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow
from _utils import small_network
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

import skfer
from skfer.persistence import _onnx
from skfer.persistence._resizing import resize_function


@pytest.fixture(scope="module")
def classifier(faces):
    return skfer.FacialExpressionClassifier(
        small_network, epochs=2, test_time_augmentation="flip", random_state=0
    ).fit(faces.images, faces.labels)


@pytest.fixture(scope="module")
def pipeline(classifier):
    return Pipeline(
        [
            ("cropper", skfer.FaceCropper()),
            ("resizer", skfer.GrayscaleResizer(24)),
            ("classifier", classifier),
        ]
    )


@pytest.fixture(scope="module")
def exported(pipeline, tmp_path_factory):
    return skfer.export_onnx(pipeline, tmp_path_factory.mktemp("onnx") / "faces.onnx")


def onnx_probabilities(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": images})
    return probabilities


def noise(*shape):
    return np.random.default_rng(sum(shape)).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [
        (1, 24, 24, 1),
        (7, 24, 24, 3),
        (2, 48, 48, 3),
        (1, 61, 53, 3),
        (3, 13, 20, 1),
        (1, 15, 90, 3),
        (1, 1, 1, 1),
    ],
)
def test_images_of_any_size(exported, pipeline, shape):
    images = noise(*shape)
    expected = pipeline[1:].predict_proba(images)
    np.testing.assert_allclose(onnx_probabilities(exported, images), expected, atol=1e-5)


@pytest.mark.slow
def test_crop_of_a_photo_and_metadata(exported, pipeline, astronaut):
    (crop,) = pipeline["cropper"].transform([astronaut])
    np.testing.assert_allclose(
        onnx_probabilities(exported, crop[np.newaxis]),
        pipeline.predict_proba([astronaut]),
        atol=1e-3,
    )
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["classes"]) == ["happy", "sad", "surprise"]
    assert json.loads(metadata["image_shape"]) == [24, 24, 1]
    assert metadata["test_time_augmentation"] == "flip"
    (images,), (probabilities,) = model.graph.input, model.graph.output
    axes = [axis.dim_param for axis in images.type.tensor_type.shape.dim]
    assert (images.name, axes) == ("images", ["batch", "height", "width", "channels"])
    assert probabilities.name == "probabilities"
    assert [o.version for o in model.opset_import if o.domain == ""] == [15]


def test_export_of_a_classifier(classifier, faces, tmp_path, capfd, caplog):
    path = skfer.export_onnx(classifier, str(tmp_path / "classifier.onnx"))
    images = faces.images[..., np.newaxis]
    expected = classifier.predict_proba(faces.images)
    np.testing.assert_allclose(onnx_probabilities(path, images), expected, atol=1e-5)
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        onnx_probabilities(path, noise(1, 30, 30, 1))
    caplog.set_level(logging.INFO)
    skfer.export_onnx(classifier, tmp_path / "classifier.onnx")
    if tensorflow.__version__.startswith("2.18."):  # prints devices at every log level
        lines = "".join(capfd.readouterr()).splitlines()
        devices = ("I0000", "WARNING: All log messages before absl")
        assert not [line for line in lines if not line.startswith(devices)]
    else:
        assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.name.startswith("tf2onnx")]


@pytest.mark.parametrize("class_prior", ["uniform", [0.1, 0.2, 0.7]])
def test_temperature_and_class_prior(classifier, faces, tmp_path, class_prior):
    other = copy.copy(classifier).set_params(temperature=2.5)
    plain = other.predict_proba(faces.images[:3])
    other.class_prior_ = np.array([0.6, 0.3, 0.1])
    other.set_params(class_prior=class_prior)
    path = skfer.export_onnx(other, tmp_path / "other.onnx")
    proba = onnx_probabilities(path, faces.images[:3, ..., None])
    np.testing.assert_allclose(proba, other.predict_proba(faces.images[:3]), atol=1e-5)
    assert np.abs(proba - plain).max() > 0.01


@pytest.mark.slow
def test_rgb_floats_and_integer_labels(tmp_path):
    X, y = noise(40, 16, 20, 3).astype(np.float32) / 127.5 - 1, np.arange(40) % 3 * 10
    classifier = skfer.FacialExpressionClassifier(small_network, epochs=1, random_state=0).fit(X, y)
    pipeline = Pipeline([("resizer", skfer.ImageResizer((16, 20), color="rgb")), ("c", classifier)])
    path = skfer.export_onnx(pipeline.set_params(c__backend="onnx"), tmp_path / "rgb.onnx")
    for images in (noise(3, 16, 20, 3), noise(2, 40, 33, 1)):
        expected = pipeline.set_params(c__backend="keras").predict_proba(images)
        np.testing.assert_allclose(onnx_probabilities(path, images), expected, atol=1e-5)
    metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == [0, 10, 20]


@pytest.mark.parametrize("color", ["gray", "rgb"])
@pytest.mark.parametrize("size", [48, (24, 40)])
def test_resizing_equals_opencv(color, size):
    sides = (size, size) if isinstance(size, int) else size
    graph = resize_function(sides, 1 if color == "gray" else 3, brighten=False)
    shapes = [(48, 48), (96, 96), (144, 192), (61, 53), (100, 30), (20, 30), (7, 300), (1, 1)]
    for shape in shapes:
        for channels in (1, 3):
            images = noise(2, *shape, channels)
            expected = skfer.ImageResizer(size, color=color).transform(images)
            difference = np.abs(graph(images).numpy() - expected)
            # OpenCV sums floats, so that a mean of exactly .5 may be rounded up or down.
            assert difference.max() <= 1
            assert (difference > 0).mean() < 0.01
            if size == 48:
                assert not difference.any()
    brighten = resize_function(sides, 1 if color == "gray" else 3, brighten=True)
    resizer = skfer.ImageResizer(size, color=color, equalize="brighten")
    for factor in (1, 0.5, 0.2, 0.01, 0):
        images = np.rint(noise(2, 96, 96, 3) * factor).astype(np.uint8)
        images[1] = 200
        difference = np.abs(brighten(images).numpy() - resizer.transform(images))
        assert difference.max() <= (0 if size == 48 else 11)  # a gray level, times the gain
        assert (difference > 0).mean() < 0.01


@pytest.mark.slow
def test_dark_images(classifier, faces, tmp_path):
    resizer = skfer.GrayscaleResizer(24, equalize="brighten")
    pipeline = Pipeline([("resizer", resizer), ("c", classifier)])
    path = skfer.export_onnx(pipeline, tmp_path / "brighten.onnx")
    images = np.concatenate([faces.images[:4], faces.images[:4] // 6])[..., np.newaxis]
    expected = pipeline.predict_proba(images)
    np.testing.assert_allclose(onnx_probabilities(path, images), expected, atol=1e-4)
    assert np.abs(expected - classifier.predict_proba(images)).max() > 0.01


def test_wrong_probabilities(classifier, tmp_path, monkeypatch):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"previous")
    right = _onnx._from_pixels

    def wrong(resizer, classifier):
        function = right(resizer, classifier)
        return lambda x: {"probabilities": keras.ops.softmax(2 * function(x)["probabilities"])}

    monkeypatch.setattr(_onnx, "_from_pixels", wrong)
    with pytest.raises(RuntimeError, match="other probabilities than the classifier"):
        skfer.export_onnx(classifier, path)
    assert path.read_bytes() == b"previous"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_packages(classifier, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "onnxruntime", None)
        path = skfer.export_onnx(classifier, tmp_path / "classifier.onnx")
    images = noise(2, 24, 24, 1)
    expected = classifier.predict_proba(images)
    np.testing.assert_allclose(onnx_probabilities(path, images), expected, atol=1e-5)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ImportError, match=r"export_onnx needs tf2onnx.*skfer\[onnx\]"):
        skfer.export_onnx(classifier, tmp_path / "classifier.onnx")


@pytest.mark.slow
def test_unsupported_pipelines(classifier, tmp_path):
    path = tmp_path / "a.onnx"
    steps = [
        ("hog", skfer.HOGDescriptor()),
        ("resizer", skfer.GrayscaleResizer(24)),
        ("c", classifier),
    ]
    with pytest.raises(ValueError, match="HOGDescriptor can't be part"):
        skfer.export_onnx(Pipeline(steps), path)
    steps = [("resizer", skfer.GrayscaleResizer(24, equalize="clahe")), ("c", classifier)]
    with pytest.raises(ValueError, match="equalize='clahe'"):
        skfer.export_onnx(Pipeline(steps), path)
    with pytest.raises(ValueError, match="CalibratedClassifierCV"):
        skfer.export_onnx(CalibratedClassifierCV(FrozenEstimator(classifier)), path)
    with pytest.raises(NotFittedError):
        skfer.export_onnx(skfer.FacialExpressionClassifier(), path)
    with pytest.raises(ValueError, match="there is no folder"):
        skfer.export_onnx(classifier, tmp_path / "missing" / "a.onnx")
    with pytest.raises(ValueError, match=r"must end in \.onnx"):
        skfer.export_onnx(classifier, tmp_path / "mine.skfer")
    steps = [("resizer", skfer.GrayscaleResizer(32)), ("c", classifier)]
    with pytest.raises(ValueError, match=r"fitted on \(24, 24, 1\)"):
        skfer.export_onnx(Pipeline(steps), path)
    assert not list(tmp_path.iterdir())
