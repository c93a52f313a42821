"""What saliency, Grad-CAM and occlusion take, give and refuse."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from networks_for_tests import small_network
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

MAKERS = [saliency, grad_cam, occlusion_sensitivity]
CLASSES = ["happy", "sad", "surprise"]


@pytest.fixture(scope="module")
def faces():
    return make_faces(70, classes=CLASSES, size=24, random_state=0)


@pytest.fixture(scope="module")
def fitted(faces):
    return FacialExpressionClassifier(small_network, epochs=2, random_state=0).fit(
        faces.images, faces.labels
    )


@pytest.mark.parametrize("make", MAKERS)
def test_a_map_for_every_image_and_what_it_is_of(fitted, faces, make):
    found = make(fitted, faces.images)
    assert found.maps.shape == (70, 24, 24)
    assert found.maps.dtype == np.float32
    np.testing.assert_array_equal(found.images[..., 0], faces.images)
    np.testing.assert_array_equal(found.target, fitted.predict(faces.images))
    np.testing.assert_allclose(found.proba, fitted.predict_proba(faces.images).max(axis=1))


@pytest.mark.parametrize("make", MAKERS)
def test_for_a_class_or_one_class_an_image(fitted, faces, make):
    images = faces.images[:3]
    by_class = {name: make(fitted, images, target=name) for name in CLASSES}
    assert by_class["sad"].target.tolist() == ["sad"] * 3
    mixed = make(fitted, images, target=CLASSES)
    for place, name in enumerate(CLASSES):
        np.testing.assert_allclose(
            mixed.maps[place], by_class[name].maps[place], rtol=1e-3, atol=1e-6
        )
        assert mixed.proba[place] == pytest.approx(
            fitted.predict_proba(images)[place, list(fitted.classes_).index(name)]
        )
    assert not np.allclose(by_class["sad"].maps, by_class["happy"].maps)


def test_saliency_is_the_slope_of_the_score(fitted, faces):
    image = faces.images[:1].astype(np.float32)
    found = saliency(fitted, image, target="sad")

    def score(pixels):
        logs = np.log(fitted.predict_proba(pixels)[0])
        return logs[1] - logs.mean()

    for row, column in [(5, 7), (12, 12), (20, 3)]:
        step = np.zeros_like(image)
        step[0, row, column] = 0.5
        slope = score(image + step) - score(image - step)
        assert found.maps[0, row, column] == pytest.approx(abs(slope), rel=0.05, abs=2e-5)


def test_grad_cam_weighs_the_channels_of_the_layer(fitted, faces):
    # The head averages the last map and has one weight a channel and class, so that Grad-CAM can
    # be written down: with that weight, less its mean over the classes, over the number of places.
    body = fitted.network_.layers[-1]
    last_map = keras.Model(body.inputs[0], body.layers[-4].output)
    channels = np.asarray(last_map(faces.images[..., np.newaxis] / np.float32(255)))
    kernel = body.layers[-1].get_weights()[0]
    weights = (kernel - kernel.mean(axis=1, keepdims=True))[:, 1] / channels[0, ..., 0].size
    expected = np.maximum(channels @ weights, 0)
    found = grad_cam(fitted, faces.images, target="sad")
    enlarged = keras.ops.image.resize(expected[..., np.newaxis], (24, 24), "bilinear")
    np.testing.assert_allclose(found.maps, np.asarray(enlarged)[..., 0], rtol=1e-3, atol=1e-6)


def test_a_finer_map_from_an_earlier_layer(fitted, faces):
    coarse, fine = (grad_cam(fitted, faces.images, layer=layer).maps for layer in (None, "first"))
    roughness = [np.abs(np.diff(maps, 2, axis=1)).mean() / maps.mean() for maps in (coarse, fine)]
    assert roughness[1] > 1.5 * roughness[0]


def test_noise_comes_from_the_seed_and_smooths(fitted, faces):
    one, again, other = (
        saliency(fitted, faces.images, smooth=3, random_state=seed).maps for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)
    plain, still = saliency(fitted, faces.images), saliency(fitted, faces.images, smooth=2, noise=0)
    np.testing.assert_allclose(still.maps, plain.maps, rtol=1e-3, atol=1e-6)


def test_occlusion_is_the_fall_in_probability(fitted, faces):
    image = faces.images[:1]
    found = occlusion_sensitivity(fitted, image, target="sad", patch_size=12, stride=12, fill=0)
    before = fitted.predict_proba(image)[0, 1]
    for top, left in [(0, 0), (0, 12), (12, 0), (12, 12)]:
        covered = image.copy()
        covered[0, top : top + 12, left : left + 12] = 0
        fall = before - fitted.predict_proba(covered)[0, 1]
        area = found.maps[0, top : top + 12, left : left + 12]
        np.testing.assert_allclose(area, fall, atol=1e-6)


def test_patches_reach_every_pixel(fitted, faces):
    found = occlusion_sensitivity(fitted, faces.images[:2], patch_size=(7, 5), stride=5)
    assert np.isfinite(found.maps).all()
    assert (found.maps != 0).any(axis=(0, 1)).all()


@pytest.fixture(scope="module")
def photos(fitted):
    scenes = make_faces(3, classes=CLASSES, scene=True, random_state=0).images
    return scenes, Pipeline(
        [("cropper", FaceCropper()), ("resizer", GrayscaleResizer(24)), ("classifier", fitted)]
    )


@pytest.mark.parametrize("make", MAKERS)
def test_photos_through_a_pipeline_and_what_is_around_it(photos, make):
    scenes, pipeline = photos
    found = make(pipeline, scenes)
    crops = pipeline[:-1].transform(scenes)
    np.testing.assert_array_equal(found.images, crops)
    np.testing.assert_array_equal(found.maps, make(pipeline[-1], crops).maps)
    for around in (AbstainingClassifier(pipeline, threshold=1.0), FrozenEstimator(pipeline)):
        np.testing.assert_array_equal(make(around, list(scenes)).maps, found.maps)
    inside = Pipeline([*pipeline.steps[:-1], ("careful", AbstainingClassifier(pipeline[-1]))])
    assert make(inside, scenes).target.tolist() == found.target.tolist()


@pytest.mark.parametrize("make", MAKERS)
def test_colour_and_other_scales(make):
    faces = make_faces(30, classes=["happy", "sad"], size=16, color=True, random_state=0)
    scaled = (faces.images / 255).astype(np.float32)
    classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    classifier.fit(scaled, faces.labels)
    bytes_, floats = make(classifier, faces.images), make(classifier, scaled)
    assert bytes_.images.shape == (30, 16, 16, 3)
    assert bytes_.images.dtype == np.uint8
    # The mean that a patch is filled with is rounded for bytes.
    np.testing.assert_allclose(bytes_.maps, floats.maps, rtol=1e-3, atol=2e-3)


def test_what_asks_no_network_takes_any_classifier(faces):
    linear = make_pipeline(ImageResizer(24), HOGDescriptor(), LogisticRegression(max_iter=1000))
    linear.fit(faces.images, faces.labels)
    images, labels = faces.images[:5], faces.labels[:5]
    found = occlusion_sensitivity(linear, images)
    np.testing.assert_array_equal(found.target, linear.predict(images))
    assert found.maps.any(axis=(1, 2)).all()
    scores = deletion_score(linear, images, found.maps)
    assert ((scores > 0) & (scores < 1)).all()
    assert region_importance(linear, images, labels).score == linear.score(images, labels)


def test_an_onnx_backend_keeps_its_network(fitted, faces):
    expected = saliency(fitted, faces.images).maps
    other = pickle.loads(pickle.dumps(fitted)).set_params(backend="onnx")
    np.testing.assert_allclose(saliency(other, faces.images).maps, expected, rtol=1e-3, atol=1e-6)


def test_training_on_changes_the_maps(fitted, faces):
    classifier = pickle.loads(pickle.dumps(fitted))
    before = grad_cam(classifier, faces.images).maps
    classifier.network_.set_weights([2 * w for w in classifier.network_.get_weights()])
    assert not np.allclose(grad_cam(classifier, faces.images).maps, before)


def test_threads_share_a_classifier_which_stays_as_it_is(fitted, faces):
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


def test_one_graph_serves_every_call(fitted, faces):
    saliency(fitted, faces.images)
    graph = fitted._inspecting["saliency"]
    traced = dict(graph._graphs)
    for n in (1, 3, 70):
        saliency(fitted, faces.images[:n], target="sad")
    assert fitted._inspecting["saliency"] is graph
    assert graph._graphs == traced


@pytest.mark.parametrize("name", ["cnn5", "mini_xception"])
def test_networks_of_the_package(name):
    images = make_faces(4, classes=["happy", "sad"], size=32, random_state=0)
    classifier = FacialExpressionClassifier(name, random_state=0)
    classifier.classes_ = np.array(["happy", "sad"])
    classifier._build_untrained((32, 32, 1), 2)
    for make in (saliency, grad_cam):
        maps = make(classifier, images.images, target="sad").maps
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


def test_the_pretrained_network(astronaut):
    found = grad_cam(load_pretrained(), [astronaut])
    assert found.target.tolist() == ["happy"]
    assert found.maps.shape == (1, 48, 48)
    # She smiles: the lower half of the face speaks for it.
    assert found.maps[0, 24:].sum() > found.maps[0, :24].sum()


def test_a_saved_model_with_models_inside(tmp_path, faces):
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


def test_a_network_without_convolutions(faces):
    classifier = FacialExpressionClassifier(flat_network, epochs=1, random_state=0)
    classifier.fit(faces.images, faces.labels)
    assert saliency(classifier, faces.images).maps.any()
    with pytest.raises(ValueError, match=r"no feature map .* take saliency or occlusion"):
        grad_cam(classifier, faces.images)


@pytest.mark.parametrize("make", MAKERS)
def test_an_unknown_class_is_named(fitted, faces, make):
    with pytest.raises(ValueError, match=r"target='angry' is none of the classes \['happy'"):
        make(fitted, faces.images, target="angry")
    with pytest.raises(ValueError, match=r"target has the shape \(2,\) for 70 images"):
        make(fitted, faces.images, target=["sad", "sad"])


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_not_fitted_or_no_classifier(faces, make):
    with pytest.raises(NotFittedError):
        make(FacialExpressionClassifier(small_network), faces.images)
    with pytest.raises(TypeError, match="is of type str"):
        make("fer2013", faces.images)
    svm = make_pipeline(ImageResizer(24), HOGDescriptor(), LinearSVC())
    svm.fit(faces.images, faces.labels)
    with pytest.raises(TypeError, match="LinearSVC gives no probabilities"):
        make(svm, faces.images)


@pytest.mark.parametrize("make", [saliency, grad_cam])
def test_gradients_need_a_network(faces, make):
    trees = make_pipeline(ImageResizer(24), HOGDescriptor(), LogisticRegression(max_iter=1000))
    trees.fit(faces.images, faces.labels)
    with pytest.raises(TypeError, match="Here a LogisticRegression answers; occlusion_sensitivity"):
        make(trees, faces.images)


@pytest.mark.parametrize(
    ("make", "options", "message"),
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
def test_parameters_are_checked(fitted, faces, make, options, message):
    with pytest.raises(ValueError, match=message):
        make(fitted, faces.images, **options)
