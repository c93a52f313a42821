import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
from _utils import small_network, untrained_classifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

import skfer
from skfer.datasets import make_faces
from skfer.inspection import (
    GradCAMDisplay,
    MapDisplay,
    OcclusionDisplay,
    SaliencyDisplay,
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
def test_maps(fitted, faces, function):
    result = function(fitted, faces.images)
    assert result.maps.shape == (70, 24, 24)
    assert result.maps.dtype == np.float32
    np.testing.assert_array_equal(result.images[..., 0], faces.images)
    np.testing.assert_array_equal(result.target, fitted.predict(faces.images))
    np.testing.assert_allclose(result.proba, fitted.predict_proba(faces.images).max(axis=1))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_targets(fitted, faces, function):
    images = faces.images[:3]
    by_class = {name: function(fitted, images, target=name) for name in CLASSES}
    assert by_class["sad"].target.tolist() == ["sad"] * 3
    mixed = function(fitted, images, target=CLASSES)
    for row, name in enumerate(CLASSES):
        np.testing.assert_allclose(mixed.maps[row], by_class[name].maps[row], rtol=1e-3, atol=1e-6)
        assert mixed.proba[row] == pytest.approx(
            fitted.predict_proba(images)[row, list(fitted.classes_).index(name)]
        )
    assert not np.allclose(by_class["sad"].maps, by_class["happy"].maps)


def test_saliency_is_the_gradient(fitted, faces):
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


def test_smoothed_saliency(fitted, faces):
    first, second, third = (
        saliency(fitted, faces.images, smooth=3, random_state=seed).maps for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, third)
    plain = saliency(fitted, faces.images)
    without_noise = saliency(fitted, faces.images, smooth=2, noise=0)
    np.testing.assert_allclose(without_noise.maps, plain.maps, rtol=1e-3, atol=1e-6)


def test_graph_of_saliency_is_reused(fitted, faces):
    saliency(fitted, faces.images)
    graph = fitted._inspecting["saliency"]
    traced = dict(graph._graphs)
    for n in (1, 3, 70):
        saliency(fitted, faces.images[:n], target="sad")
    assert fitted._inspecting["saliency"] is graph
    assert graph._graphs == traced


def test_grad_cam_weighs_the_last_feature_map(fitted, faces):
    # The head averages the last feature map and has a weight for each channel and class. Grad-CAM
    # subtracts the mean over the classes and divides by the number of pixels.
    body = fitted.network_.layers[-1]
    last_map = keras.Model(body.inputs[0], body.layers[-4].output)
    channels = np.asarray(last_map(faces.images[..., np.newaxis] / np.float32(255)))
    kernel = body.layers[-1].get_weights()[0]
    weights = (kernel - kernel.mean(axis=1, keepdims=True))[:, 1] / channels[0, ..., 0].size
    expected = np.maximum(channels @ weights, 0)
    result = grad_cam(fitted, faces.images, target="sad")
    enlarged = keras.ops.image.resize(expected[..., np.newaxis], (24, 24), "bilinear")
    np.testing.assert_allclose(result.maps, np.asarray(enlarged)[..., 0], rtol=1e-3, atol=1e-6)


def test_grad_cam_of_an_earlier_layer_is_finer(fitted, faces):
    coarse, fine = (grad_cam(fitted, faces.images, layer=layer).maps for layer in (None, "first"))
    roughness = [np.abs(np.diff(maps, 2, axis=1)).mean() / maps.mean() for maps in (coarse, fine)]
    assert roughness[1] > 1.5 * roughness[0]


def test_occlusion_is_the_decrease_in_probability(fitted, faces):
    image = faces.images[:1]
    result = occlusion_sensitivity(fitted, image, target="sad", patch_size=12, stride=12, fill=0)
    before = fitted.predict_proba(image)[0, 1]
    for top, left in [(0, 0), (0, 12), (12, 0), (12, 12)]:
        covered = image.copy()
        covered[0, top : top + 12, left : left + 12] = 0
        decrease = before - fitted.predict_proba(covered)[0, 1]
        area = result.maps[0, top : top + 12, left : left + 12]
        np.testing.assert_allclose(area, decrease, atol=1e-6)


def test_patches_cover_the_image(fitted, faces):
    result = occlusion_sensitivity(fitted, faces.images[:2], patch_size=(7, 5), stride=5)
    assert np.isfinite(result.maps).all()
    assert (result.maps != 0).any(axis=(0, 1)).all()


@pytest.fixture(scope="module")
def photos(fitted):
    scenes = make_faces(3, classes=CLASSES, scene=True, random_state=0).images
    return scenes, Pipeline(
        [
            ("cropper", skfer.FaceCropper()),
            ("resizer", skfer.GrayscaleResizer(24)),
            ("classifier", fitted),
        ]
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pipelines_and_wrappers(photos, function):
    scenes, pipeline = photos
    result = function(pipeline, scenes)
    crops = pipeline[:-1].transform(scenes)
    np.testing.assert_array_equal(result.images, crops)
    np.testing.assert_array_equal(result.maps, function(pipeline[-1], crops).maps)
    for wrapper in (skfer.AbstainingClassifier(pipeline, threshold=1.0), FrozenEstimator(pipeline)):
        np.testing.assert_array_equal(function(wrapper, list(scenes)).maps, result.maps)
    inside = Pipeline(
        [*pipeline.steps[:-1], ("abstaining", skfer.AbstainingClassifier(pipeline[-1]))]
    )
    assert function(inside, scenes).target.tolist() == result.target.tolist()


def test_classifiers_without_network(faces):
    linear = make_pipeline(
        skfer.ImageResizer(24), skfer.HOGDescriptor(), LogisticRegression(max_iter=1000)
    )
    linear.fit(faces.images, faces.labels)
    images, labels = faces.images[:5], faces.labels[:5]
    result = occlusion_sensitivity(linear, images)
    np.testing.assert_array_equal(result.target, linear.predict(images))
    assert result.maps.any(axis=(1, 2)).all()
    scores = deletion_score(linear, images, result.maps)
    assert ((scores > 0) & (scores < 1)).all()
    assert region_importance(linear, images, labels).score == linear.score(images, labels)
    for function in [saliency, grad_cam]:
        with pytest.raises(TypeError, match=r"is a LogisticRegression.* occlusion_sensitivity"):
            function(linear, faces.images)


@pytest.mark.slow
def test_maps_do_not_depend_on_the_backend(fitted, faces):
    expected = saliency(fitted, faces.images).maps
    other = pickle.loads(pickle.dumps(fitted)).set_params(backend="onnx")
    np.testing.assert_allclose(saliency(other, faces.images).maps, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_maps_of_changed_weights(fitted, faces):
    classifier = pickle.loads(pickle.dumps(fitted))
    before = grad_cam(classifier, faces.images).maps
    classifier.network_.set_weights([2 * w for w in classifier.network_.get_weights()])
    assert not np.allclose(grad_cam(classifier, faces.images).maps, before)


@pytest.mark.slow
def test_maps_in_threads(fitted, faces):
    expected = saliency(fitted, faces.images).maps
    classifier = pickle.loads(pickle.dumps(fitted))
    pickled = pickle.dumps(classifier)
    attributes = set(vars(classifier))
    parts = np.array_split(faces.images, 10)
    with ThreadPoolExecutor(4) as pool:
        maps = np.concatenate([r.maps for r in pool.map(lambda X: saliency(classifier, X), parts)])
        list(pool.map(lambda X: grad_cam(classifier, X), parts))
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-6)
    assert set(vars(classifier)) == attributes
    assert len(pickle.dumps(classifier)) == pytest.approx(len(pickled), abs=100)


@pytest.mark.slow
def test_maps_of_mini_xception():
    images = make_faces(4, classes=["happy", "sad"], size=32, random_state=0).images
    classifier = untrained_classifier("mini_xception", (32, 32, 1), ["happy", "sad"])
    for function in (saliency, grad_cam):
        maps = function(classifier, images, target="sad").maps
        assert maps.shape == (4, 32, 32)
        assert (maps >= 0).all()
        assert maps.any()


@pytest.mark.slow
def test_maps_of_nested_models(tmp_path, faces):
    base = keras.Sequential(
        [keras.Input((24, 24, 1)), keras.layers.Conv2D(4, 3, name="inside")], name="base"
    )
    head = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Softmax()])
    model = keras.Sequential(
        [keras.Input((24, 24, 1)), base, keras.layers.GlobalAveragePooling2D(), head]
    )
    model.save(tmp_path / "model.keras")
    classifier = skfer.FacialExpressionClassifier.from_keras(
        tmp_path / "model.keras", classes=["surprise", "happy", "sad"]
    )
    maps = np.stack([grad_cam(classifier, faces.images, target=name).maps for name in CLASSES])
    assert maps.shape == (3, 70, 24, 24)
    assert maps.any()
    assert saliency(classifier, faces.images).maps.any()


@pytest.mark.slow
def test_network_without_feature_maps(faces):
    classifier = skfer.FacialExpressionClassifier(flat_network, epochs=1, random_state=0)
    classifier.fit(faces.images, faces.labels)
    assert saliency(classifier, faces.images).maps.any()
    with pytest.raises(ValueError, match=r"no feature map .* use saliency or occlusion"):
        grad_cam(classifier, faces.images)


@pytest.mark.zoo
@pytest.mark.parametrize("name", list_networks())
def test_all_networks(name):
    images = make_faces(2, classes=["happy", "sad"], size=80, color=True, random_state=0).images
    classifier = untrained_classifier(name, (80, 80, 3), ["happy", "sad"])
    assert saliency(classifier, images).maps.any()
    maps = [grad_cam(classifier, images, target=target).maps for target in ("sad", "happy")]
    assert any(map(np.any, maps))


@pytest.mark.slow
def test_evidence_for_a_smile(astronaut):
    result = grad_cam(skfer.load_pretrained(), [astronaut])
    assert result.target.tolist() == ["happy"]
    assert result.maps.shape == (1, 48, 48)
    # The evidence for a smile is in the lower half of the face.
    assert result.maps[0, 24:].sum() > result.maps[0, :24].sum()


@pytest.mark.slow
def test_colour_images():
    faces = make_faces(30, classes=["happy", "sad"], size=16, color=True, random_state=0)
    scaled = (faces.images / 255).astype(np.float32)
    classifier = skfer.FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    classifier.fit(scaled, faces.labels)
    for function in FUNCTIONS:
        integers, floats = function(classifier, faces.images), function(classifier, scaled)
        assert integers.images.shape == (30, 16, 16, 3)
        assert integers.images.dtype == np.uint8
        # The mean that fills a patch is rounded for uint8.
        np.testing.assert_allclose(integers.maps, floats.maps, rtol=1e-3, atol=2e-3)


def flat_network(input_shape, n_outputs):
    layers = [keras.layers.Flatten(), keras.layers.Dense(n_outputs, activation="softmax")]
    return keras.Sequential([keras.Input(input_shape), *layers])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_invalid_targets_and_estimators(fitted, faces, function):
    with pytest.raises(ValueError, match=r"target='angry' is none of the classes \['happy'"):
        function(fitted, faces.images, target="angry")
    with pytest.raises(ValueError, match=r"target has the shape \(2,\) for 70 images"):
        function(fitted, faces.images, target=["sad", "sad"])
    with pytest.raises(NotFittedError, match="FacialExpressionClassifier instance is not fitted"):
        function(skfer.FacialExpressionClassifier(small_network), faces.images)
    with pytest.raises(TypeError, match="is of type str"):
        function("fer2013", faces.images)
    svm = make_pipeline(skfer.ImageResizer(24), skfer.HOGDescriptor(), LinearSVC())
    svm.fit(faces.images, faces.labels)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        function(svm, faces.images)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (saliency, {"smooth": -1}, "smooth=-1 must be an int"),
        (saliency, {"smooth": 2, "noise": -0.1}, "noise=-0.1 must be a number"),
        (grad_cam, {"layer": "frist"}, "layer='frist' is not a layer of .* Similar.*: first"),
        (grad_cam, {"layer": "scaling"}, "layer='scaling' gives no feature map"),
        (occlusion_sensitivity, {"patch_size": 25}, "patch_size=25 must be .* 24 x 24"),
        (occlusion_sensitivity, {"patch_size": 4, "stride": 5}, "stride=5 must be .* side, 4"),
        (occlusion_sensitivity, {"fill": "black"}, "fill='black' must be 'blur', 'mean'"),
        (occlusion_sensitivity, {"fill": 300}, "fill=300 is not a value of uint8 images"),
    ],
)
def test_invalid_parameters(fitted, faces, function, options, message):
    with pytest.raises(ValueError, match=message):
        function(fitted, faces.images, **options)


DISPLAYS = [SaliencyDisplay, GradCAMDisplay, OcclusionDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_displays(fitted, faces, display):
    drawn = display.from_estimator(fitted, faces.images[:4], target="sad", cmap="gray")
    assert isinstance(drawn, display)
    assert len(drawn.images_) == len(drawn.maps_) == len(drawn.text_) == 4
    proba = fitted.predict_proba(faces.images[:4])[:, 1]
    assert [text.get_text() for text in drawn.text_] == [f"sad {share:.2f}" for share in proba]
    for artist, image in zip(drawn.images_, faces.images, strict=False):
        np.testing.assert_allclose(artist.get_array(), image / 255, rtol=1e-6)
    for artist, values in zip(drawn.maps_, drawn.maps, strict=True):
        np.testing.assert_array_equal(artist.get_array(), values)
        assert artist.get_cmap().name == "gray"


def test_columns_of_a_display(fitted, faces):
    maps = grad_cam(fitted, faces.images[:8])
    drawn = GradCAMDisplay(**maps).plot(n_columns=3)
    assert len(drawn.maps_) == 8
    left = [image.get_extent()[0] for image in drawn.images_]
    assert left[0] == left[3] == left[6]
    with pytest.raises(ValueError, match="n_columns=0 must be an int of at least 1"):
        drawn.plot(n_columns=0)


def test_display_of_given_maps():
    images = np.random.default_rng(0).integers(0, 256, (2, 10, 14, 3), np.uint8)
    maps = np.zeros((2, 10, 14))
    maps[0, 3, 4] = 5
    drawn = MapDisplay(maps, images).plot()
    assert drawn.text_ == []
    left, right, bottom, top = drawn.maps_[0].get_extent()
    assert (right - left) / (bottom - top) == pytest.approx(1.4)
    assert drawn.maps_[1].get_alpha().max() == 0
    target = pd.Series(["sad", "happy"], index=[7, 9])
    texts = MapDisplay(maps, images, target=target).plot().text_
    assert [text.get_text() for text in texts] == ["sad", "happy"]


def test_scale_of_an_occlusion_display(fitted, faces):
    drawn = OcclusionDisplay.from_estimator(fitted, faces.images[:3], patch_size=8)
    limits = {image.get_clim() for image in drawn.maps_}
    assert len(limits) == 1
    ((low, high),) = limits
    assert low == -high
    labels = [axis.get_ylabel() for axis in drawn.figure_.axes]
    assert "decrease in probability" in labels


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (np.ones((2, 5, 5)), {}, r"maps has the shape \(2, 5, 5\) and images \(3, 5, 5\)"),
        (np.ones((3, 5, 5)), {"target": ["a"]}, "inconsistent numbers"),
    ],
)
def test_invalid_maps(maps, options, message):
    with pytest.raises(ValueError, match=message):
        MapDisplay(maps, np.ones((3, 5, 5), np.uint8), **options).plot()


def test_negative_maps_have_two_colours():
    maps = np.ones((2, 8, 8), np.float32)
    display = MapDisplay(maps, np.zeros((2, 8, 8), np.uint8)).plot()
    assert display.maps_[0].get_cmap().name == "inferno"
    maps[:, :, :4] = -1
    display = MapDisplay(maps, np.zeros((2, 8, 8), np.uint8)).plot()
    assert display.maps_[0].get_cmap().name == "RdBu_r"
    assert display.maps_[0].get_clim() == (-1, 1)
