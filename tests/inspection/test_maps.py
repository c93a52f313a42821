import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from _utils import small_network
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from skfer import (
    AbstainingClassifier,
    FaceCropper,
    FacialExpressionClassifier,
    GrayscaleResizer,
    HOGDescriptor,
    ImageResizer,
    load_pretrained,
)
from skfer.datasets import make_faces
from skfer.inspection import (
    deletion_score,
    grad_cam,
    occlusion_sensitivity,
    region_importance,
    saliency,
)
from skfer.networks import list_networks

FUNCTIONS = [saliency, grad_cam, occlusion_sensitivity]
CLASSES = ["happy", "sad", "surprise"]


@pytest.mark.slow
@pytest.mark.parametrize("function", FUNCTIONS)
def test_one_map_for_each_image(fitted, faces, function):
    result = function(fitted, faces.images)
    assert result.maps.shape == (70, 24, 24)
    assert result.maps.dtype == np.float32
    np.testing.assert_array_equal(result.images[..., 0], faces.images)
    np.testing.assert_array_equal(result.target, fitted.predict(faces.images))
    np.testing.assert_allclose(result.proba, fitted.predict_proba(faces.images).max(axis=1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_target_for_all_images_or_for_each(fitted, faces, function):
    images = faces.images[:3]
    by_class = {name: function(fitted, images, target=name) for name in CLASSES}
    assert by_class["sad"].target.tolist() == ["sad"] * 3
    mixed = function(fitted, images, target=CLASSES)
    for place, name in enumerate(CLASSES):
        np.testing.assert_allclose(
            mixed.maps[place], by_class[name].maps[place], rtol=1e-3, atol=1e-6
        )
        assert mixed.proba[place] == pytest.approx(
            fitted.predict_proba(images)[place, list(fitted.classes_).index(name)]
        )
    assert not np.allclose(by_class["sad"].maps, by_class["happy"].maps)


def test_saliency_is_the_gradient_of_the_score(fitted, faces):
    image = faces.images[:1].astype(np.float32)
    result = saliency(fitted, image, target="sad")

    def score(pixels):
        logs = np.log(fitted.predict_proba(pixels)[0])
        return logs[1] - logs.mean()

    for row, column in [(5, 7), (12, 12), (20, 3)]:
        step = np.zeros_like(image)
        step[0, row, column] = 0.5
        slope = score(image + step) - score(image - step)
        assert result.maps[0, row, column] == pytest.approx(abs(slope), rel=0.05, abs=2e-5)


def test_grad_cam_weights_channels(fitted, faces):
    # The head averages the last feature map and has one weight for each channel and class. The
    # Grad-CAM weight is this weight minus its mean over the classes, over the number of pixels.
    body = fitted.network_.layers[-1]
    last_map = keras.Model(body.inputs[0], body.layers[-4].output)
    channels = np.asarray(last_map(faces.images[..., np.newaxis] / np.float32(255)))
    kernel = body.layers[-1].get_weights()[0]
    weights = (kernel - kernel.mean(axis=1, keepdims=True))[:, 1] / channels[0, ..., 0].size
    expected = np.maximum(channels @ weights, 0)
    result = grad_cam(fitted, faces.images, target="sad")
    enlarged = keras.ops.image.resize(expected[..., np.newaxis], (24, 24), "bilinear")
    np.testing.assert_allclose(result.maps, np.asarray(enlarged)[..., 0], rtol=1e-3, atol=1e-6)


def test_earlier_layer_gives_a_finer_map(fitted, faces):
    coarse, fine = (grad_cam(fitted, faces.images, layer=layer).maps for layer in (None, "first"))
    roughness = [np.abs(np.diff(maps, 2, axis=1)).mean() / maps.mean() for maps in (coarse, fine)]
    assert roughness[1] > 1.5 * roughness[0]


def test_smoothing_noise_is_seeded(fitted, faces):
    one, again, other = (
        saliency(fitted, faces.images, smooth=3, random_state=seed).maps for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    plain, still = saliency(fitted, faces.images), saliency(fitted, faces.images, smooth=2, noise=0)
    np.testing.assert_allclose(still.maps, plain.maps, rtol=1e-3, atol=1e-6)


def test_occlusion(fitted, faces):
    image = faces.images[:1]
    result = occlusion_sensitivity(fitted, image, target="sad", patch_size=12, stride=12, fill=0)
    before = fitted.predict_proba(image)[0, 1]
    for top, left in [(0, 0), (0, 12), (12, 0), (12, 12)]:
        covered = image.copy()
        covered[0, top : top + 12, left : left + 12] = 0
        decrease = before - fitted.predict_proba(covered)[0, 1]
        area = result.maps[0, top : top + 12, left : left + 12]
        np.testing.assert_allclose(area, decrease, atol=1e-6)
    result = occlusion_sensitivity(fitted, faces.images[:2], patch_size=(7, 5), stride=5)
    assert np.isfinite(result.maps).all()
    assert (result.maps != 0).any(axis=(0, 1)).all()


@pytest.fixture(scope="module")
def photos(fitted):
    scenes = make_faces(3, classes=CLASSES, scene=True, random_state=0).images
    return scenes, Pipeline(
        [("cropper", FaceCropper()), ("resizer", GrayscaleResizer(24)), ("classifier", fitted)]
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pipelines_and_wrappers(photos, function):
    scenes, pipeline = photos
    result = function(pipeline, scenes)
    crops = pipeline[:-1].transform(scenes)
    np.testing.assert_array_equal(result.images, crops)
    np.testing.assert_array_equal(result.maps, function(pipeline[-1], crops).maps)
    for wrapper in (AbstainingClassifier(pipeline, threshold=1.0), FrozenEstimator(pipeline)):
        np.testing.assert_array_equal(function(wrapper, list(scenes)).maps, result.maps)
    inside = Pipeline([*pipeline.steps[:-1], ("abstaining", AbstainingClassifier(pipeline[-1]))])
    assert function(inside, scenes).target.tolist() == result.target.tolist()


@pytest.mark.slow
def test_colour_and_float_images():
    faces = make_faces(30, classes=["happy", "sad"], size=16, color=True, random_state=0)
    scaled = (faces.images / 255).astype(np.float32)
    classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    classifier.fit(scaled, faces.labels)
    for function in FUNCTIONS:
        integers, floats = function(classifier, faces.images), function(classifier, scaled)
        assert integers.images.shape == (30, 16, 16, 3)
        assert integers.images.dtype == np.uint8
        # The mean that fills a patch is rounded for uint8.
        np.testing.assert_allclose(integers.maps, floats.maps, rtol=1e-3, atol=2e-3)


def test_classifiers_without_network(faces):
    linear = make_pipeline(ImageResizer(24), HOGDescriptor(), LogisticRegression(max_iter=1000))
    linear.fit(faces.images, faces.labels)
    images, labels = faces.images[:5], faces.labels[:5]
    result = occlusion_sensitivity(linear, images)
    np.testing.assert_array_equal(result.target, linear.predict(images))
    assert result.maps.any(axis=(1, 2)).all()
    scores = deletion_score(linear, images, result.maps)
    assert ((scores > 0) & (scores < 1)).all()
    assert region_importance(linear, images, labels).score == linear.score(images, labels)


@pytest.mark.slow
def test_backend_and_changed_weights(fitted, faces):
    expected = saliency(fitted, faces.images).maps
    other = pickle.loads(pickle.dumps(fitted)).set_params(backend="onnx")
    np.testing.assert_allclose(saliency(other, faces.images).maps, expected, rtol=1e-3, atol=1e-6)
    classifier = pickle.loads(pickle.dumps(fitted))
    before = grad_cam(classifier, faces.images).maps
    classifier.network_.set_weights([2 * w for w in classifier.network_.get_weights()])
    assert not np.allclose(grad_cam(classifier, faces.images).maps, before)


@pytest.mark.slow
def test_threads_share_a_classifier(fitted, faces):
    classifier = pickle.loads(pickle.dumps(fitted))
    unused = pickle.dumps(classifier)
    attributes = set(vars(classifier))
    expected = saliency(fitted, faces.images).maps
    parts = np.array_split(faces.images, 10)
    with ThreadPoolExecutor(4) as pool:
        maps = np.concatenate([r.maps for r in pool.map(lambda X: saliency(classifier, X), parts)])
        list(pool.map(lambda X: grad_cam(classifier, X), parts))
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-6)
    assert set(vars(classifier)) == attributes
    assert len(pickle.dumps(classifier)) == pytest.approx(len(unused), abs=100)


def test_function_is_traced_once(fitted, faces):
    saliency(fitted, faces.images)
    graph = fitted._inspecting["saliency"]
    traced = dict(graph._graphs)
    for n in (1, 3, 70):
        saliency(fitted, faces.images[:n], target="sad")
    assert fitted._inspecting["saliency"] is graph
    assert graph._graphs == traced


@pytest.mark.slow
def test_network_with_residual_connections():
    images = make_faces(4, classes=["happy", "sad"], size=32, random_state=0).images
    classifier = FacialExpressionClassifier("mini_xception", random_state=0)
    classifier.classes_ = np.array(["happy", "sad"])
    classifier._build_untrained((32, 32, 1), 2)
    for function in (saliency, grad_cam):
        maps = function(classifier, images, target="sad").maps
        assert maps.shape == (4, 32, 32)
        assert (maps >= 0).all()
        assert maps.any()


@pytest.mark.zoo
@pytest.mark.parametrize("name", list_networks())
def test_all_networks(name):
    images = make_faces(2, classes=["happy", "sad"], size=80, color=True, random_state=0).images
    classifier = FacialExpressionClassifier(name, random_state=0)
    classifier.classes_ = np.array(["happy", "sad"])
    classifier._build_untrained((80, 80, 3), 2)
    assert saliency(classifier, images).maps.any()
    maps = [grad_cam(classifier, images, target=target).maps for target in ("sad", "happy")]
    assert any(map(np.any, maps))


@pytest.mark.slow
def test_pretrained_network(astronaut):
    result = grad_cam(load_pretrained(), [astronaut])
    assert result.target.tolist() == ["happy"]
    assert result.maps.shape == (1, 48, 48)
    # The evidence for a smile is in the lower half of the face.
    assert result.maps[0, 24:].sum() > result.maps[0, :24].sum()


@pytest.mark.slow
def test_nested_saved_model(tmp_path, faces):
    base = keras.Sequential(
        [keras.Input((24, 24, 1)), keras.layers.Conv2D(4, 3, name="inside")], name="base"
    )
    head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Softmax()])
    whole = keras.Sequential(
        [keras.Input((24, 24, 1)), base, keras.layers.GlobalAveragePooling2D(), head]
    )
    whole.save(tmp_path / "whole.keras")
    classifier = FacialExpressionClassifier.from_keras(
        tmp_path / "whole.keras", classes=["surprise", "happy", "sad"]
    )
    maps = np.stack([grad_cam(classifier, faces.images, target=name).maps for name in CLASSES])
    assert maps.shape == (3, 70, 24, 24)
    assert maps.any()
    assert saliency(classifier, faces.images).maps.any()


def flat_network(input_shape, n_outputs):
    layers = [keras.layers.Flatten(), keras.layers.Dense(n_outputs, activation="softmax")]
    return keras.Sequential([keras.Input(input_shape), *layers])


@pytest.mark.slow
def test_network_without_convolutions(faces):
    classifier = FacialExpressionClassifier(flat_network, epochs=1, random_state=0)
    classifier.fit(faces.images, faces.labels)
    assert saliency(classifier, faces.images).maps.any()
    with pytest.raises(ValueError, match=r"no feature map .* use saliency or occlusion"):
        grad_cam(classifier, faces.images)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_invalid_target(fitted, faces, function):
    with pytest.raises(ValueError, match=r"target='angry' is none of the classes \['happy'"):
        function(fitted, faces.images, target="angry")
    with pytest.raises(ValueError, match=r"target has the shape \(2,\) for 70 images"):
        function(fitted, faces.images, target=["sad", "sad"])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_invalid_estimators(faces, function):
    with pytest.raises(NotFittedError):
        function(FacialExpressionClassifier(small_network), faces.images)
    with pytest.raises(TypeError, match="is of type str"):
        function("fer2013", faces.images)
    svm = make_pipeline(ImageResizer(24), HOGDescriptor(), LinearSVC())
    svm.fit(faces.images, faces.labels)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        function(svm, faces.images)


@pytest.mark.parametrize("function", [saliency, grad_cam])
def test_gradients_need_a_network(faces, function):
    trees = make_pipeline(ImageResizer(24), HOGDescriptor(), LogisticRegression(max_iter=1000))
    trees.fit(faces.images, faces.labels)
    with pytest.raises(TypeError, match=r"is a LogisticRegression.* occlusion_sensitivity"):
        function(trees, faces.images)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (saliency, {"smooth": -1}, "smooth=-1 must be an int"),
        (saliency, {"smooth": 2, "noise": -0.1}, "noise=-0.1 must be a number"),
        (grad_cam, {"layer": "frist"}, "layer='frist' is no layer of .* Similar.*: first"),
        (grad_cam, {"layer": "scaling"}, "layer='scaling' gives no feature map"),
        (occlusion_sensitivity, {"patch_size": 25}, "patch_size=25 must be .* 24 x 24"),
        (occlusion_sensitivity, {"patch_size": 4, "stride": 5}, "stride=5 must be .* side, 4"),
        (occlusion_sensitivity, {"fill": "black"}, "fill='black' must be 'blur', 'mean'"),
        (occlusion_sensitivity, {"fill": 300}, "fill=300 is no value of uint8 images"),
    ],
)
def test_invalid_parameters(fitted, faces, function, options, message):
    with pytest.raises(ValueError, match=message):
        function(fitted, faces.images, **options)
