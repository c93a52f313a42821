import pickle

import keras
import numpy as np
import pytest

# Imported before the tests patch keras.applications: older Keras creates that module again here.
from keras.applications.vgg16 import preprocess_input

from skfer import FacialExpressionClassifier
from skfer.networks import build_network, list_networks
from skfer.networks._layers import freeze_below

APPLICATIONS = {
    name.lower(): name
    for name in (
        *("EfficientNetB0", "EfficientNetB3", "EfficientNetB5", "EfficientNetB7"),
        *("InceptionResNetV2", "InceptionV3", "ResNet101V2", "ResNet152V2"),
        *("ResNet50", "ResNet50V2", "VGG16", "VGG19"),
    )
}
SIZES = {"inceptionv3": 75, "inceptionresnetv2": 75}
# Without the marker `zoo`: the networks of skfer, and the quick ones of keras.applications once.
OWN = set(list_networks()) - set(APPLICATIONS)
QUICK = {"vgg16", "vgg19", "resnet50"}


def case(name, *others, quick):
    return pytest.param(name, *others, marks=[] if quick else [pytest.mark.zoo])


@pytest.mark.slow
@pytest.mark.parametrize("name", [case(name, quick=name in QUICK) for name in APPLICATIONS])
def test_number_of_parameters(name):
    size = SIZES.get(name, 32)
    reference = getattr(keras.applications, APPLICATIONS[name])(
        include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg"
    )
    network = build_network(name, (size, size, 1), 7, dense_units=1024)
    width = reference.output_shape[-1]
    head = (width + 1) * 1024 + (1024 + 1) * 7
    assert network.count_params() == reference.count_params() + head


@pytest.mark.slow
def test_vgg19():
    network = build_network("vgg19", (224, 224, 3), 8)
    assert network.count_params() == 20_028_488
    freeze_below(network, "block4_conv1")
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 17_702_920


@pytest.mark.slow
def test_gray_images():
    network = build_network("resnet50", (32, 32, 3), 2)
    gray = build_network("resnet50", (32, 32, 1), 2)
    gray.set_weights(network.get_weights())
    images = np.random.default_rng(0).random((2, 32, 32, 1), np.float32)
    np.testing.assert_allclose(
        np.asarray(gray(images)), np.asarray(network(images.repeat(3, axis=-1))), rtol=1e-4
    )
    with pytest.raises(ValueError, match=r"1 \(gray\) or 3 \(RGB\) channels; got 4"):
        build_network("vgg16", (32, 32, 4), 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "n_classes"),
    [
        case(name, n, quick=name in OWN or (name in QUICK and n == 7))
        for name in list_networks()
        for n in (2, 5, 7, 8)
    ],
)
def test_fit_predict_and_pickle(name, n_classes):
    images = np.random.default_rng(0).integers(0, 256, (16, 32, 32), dtype=np.uint8)
    labels = np.arange(16) % n_classes
    classifier = FacialExpressionClassifier(name, epochs=1, batch_size=16, random_state=0)
    classifier.fit(images, labels)
    probabilities = classifier.predict_proba(images[:3])
    assert probabilities.shape == (3, n_classes)
    assert np.isfinite(classifier.history_["loss"]).all()
    unpickled = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_allclose(
        unpickled.predict_proba(images[:3]), probabilities, rtol=1e-4, atol=1e-6
    )


@pytest.mark.slow
def test_network_params():
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32), dtype=np.uint8)
    settings = {"epochs": 1, "fine_tune": {"frozen_epochs": 1}, "random_state": 0}
    classifier = FacialExpressionClassifier(
        "vgg16", network_params={"dense_units": 16}, **settings
    ).fit(images, [0, 1] * 3)
    assert classifier.network_.layers[-1].layers[-2].units == 16


class TestImageNet:
    @pytest.fixture
    def downloaded(self, monkeypatch):
        original = keras.applications.VGG16
        trained = original(include_top=False, weights=None, input_shape=(32, 32, 3))

        def vgg16(**options):
            return trained if options["weights"] == "imagenet" else original(**options)

        monkeypatch.setattr(keras.applications, "VGG16", vgg16)
        return trained

    def test_outputs(self, downloaded):
        network = build_network("vgg16", (32, 32, 3), 2, weights="imagenet")
        images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
        expected = np.asarray(downloaded(preprocess_input(images.copy()))).mean(axis=(1, 2))
        pooled = keras.Model(network.input, network.get_layer("pooled").output)
        np.testing.assert_allclose(np.asarray(pooled(images / 255)), expected, rtol=1e-3, atol=1e-4)

    def test_fit_starts_from_the_weights(self, downloaded):
        images = np.zeros((4, 32, 32), np.uint8)
        classifier = FacialExpressionClassifier(
            "vgg16", weights="imagenet", epochs=1, fine_tune={"frozen_epochs": 1}, random_state=0
        ).fit(images, [0, 1, 0, 1])
        kernel = classifier.network_.layers[-1].get_layer("block3_conv1").get_weights()[0]
        assert np.array_equal(kernel, downloaded.get_layer("block3_conv1").get_weights()[0])

    def test_missing_weights(self, monkeypatch, tmp_path):
        def fail(**options):
            raise Exception("URL fetch failure on https://example.org/vgg16_notop.h5: None -- no")

        original = keras.applications.VGG16
        monkeypatch.setattr(
            keras.applications,
            "VGG16",
            lambda **options: fail() if options["weights"] else original(**options),
        )
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        with pytest.raises(OSError, match=r"https://example.org/vgg16_notop.h5 into .*models"):
            build_network("vgg16", (32, 32, 1), 2, weights="imagenet")

    def test_other_networks_have_no_weights(self):
        classifier = FacialExpressionClassifier("cnn4", weights="imagenet")
        with pytest.raises(ValueError, match="takes no 'weights'"):
            classifier.fit(np.zeros((4, 48, 48), np.uint8), [0, 1, 0, 1])
