import copy
import pickle

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.base import clone

import skfer
from skfer import FacialAffectRegressor, FacialExpressionClassifier
from skfer.estimators._classifier import labels_in_order

SHAPE = (12, 12, 1)


@pytest.fixture(scope="module", name="X")
def images():
    return np.random.default_rng(0).integers(0, 256, (24, 12, 12), dtype=np.uint8)


@pytest.fixture
def model():
    return network(SHAPE, 3)


def network(input_shape, n_outputs):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(4, 3, activation="relu", name="first"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(n_outputs, activation="softmax", name="end"),
        ],
        name="network",
    )


def outputs(model, X, scale=255):
    return np.asarray(model(X[..., None] / np.float32(scale)))


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ({0: "sad", 2: "fear", 1: "happy"}, ["sad", "happy", "fear"]),
        ({"0": "sad", "1": "happy"}, ["sad", "happy"]),
        ({"neutral": 2, "angry": 0, "happy": 1}, ["angry", "happy", "neutral"]),
        ({np.int64(1): "a", np.int64(0): "b"}, ["b", "a"]),
        ({0: 5, 1: 3}, [5, 3]),
        ({5: 0, 3: 1}, [5, 3]),
        ({0: 1, 1: 0}, [1, 0]),
        (np.array(["b", "a"]), ["b", "a"]),
        ((label for label in "ba"), ["b", "a"]),
        (range(3), [0, 1, 2]),
    ],
)
def test_order_of_classes(classes, expected):
    assert labels_in_order(classes) == expected


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ({0: "sad", 2: "happy"}, r"names the outputs \[0, 2\]: they must count from 0"),
        ({"sad": 0, "happy": 0}, r"names the outputs \[0, 0\]"),
        ({1: "sad", 2: "happy"}, "count from 0"),
        ({0: 1, 1: 2, 2: 0}, "can be read as outputs with their labels and as labels"),
        ({"sad": "happy", "a": "b"}, "must name outputs by number"),
        ({"sad", "happy"}, "has no order of labels"),
        ("sad,happy", "has no order of labels"),
        (["sad", "sad"], "names 'sad' twice"),
        ({0: "sad", 1: "sad"}, "names 'sad' twice"),
        (["sad", None], r"classes\[1\] is None"),
        (["sad", float("nan")], r"classes\[1\] is nan"),
    ],
)
def test_invalid_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        labels_in_order(classes)


def test_classes_as_dict_or_set(model, X):
    by_label = FacialExpressionClassifier.from_keras(
        model, classes={"neutral": 2, "sad": 0, "happy": 1}
    )
    assert by_label.classes_.tolist() == ["happy", "neutral", "sad"]
    expected = outputs(model, X)[:, [1, 2, 0]]
    np.testing.assert_allclose(by_label.predict_proba(X), expected, atol=1e-6)
    by_output = FacialExpressionClassifier.from_keras(
        model, classes={0: "sad", 1: "happy", 2: "neutral"}
    )
    np.testing.assert_array_equal(by_output.predict(X), by_label.predict(X))
    y = np.tile(["sad", "happy"], 12)
    for classes in ({0: "sad", 1: "happy", 2: "fear"}, {"sad", "happy", "fear"}):
        classifier = FacialExpressionClassifier(network, classes=classes, epochs=1).fit(X, y)
        assert classifier.classes_.tolist() == ["fear", "happy", "sad"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_model_files(model, X, tmp_path, suffix):
    path = tmp_path / f"emotions{suffix}"
    model.save(path)
    classifier = FacialExpressionClassifier.from_keras(
        path, classes=["surprise", "happy", "sad"], epochs=1
    )
    assert classifier.classes_.tolist() == ["happy", "sad", "surprise"]
    expected = outputs(model, X)[:, [1, 2, 0]]
    np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-6)
    classifier.fit(X, np.tile(classifier.classes_, 8))
    loaded = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


def test_options_without_effect_on_a_saved_model(model):
    with pytest.raises(ValueError, match=r"dropout=0.5 has no effect on the saved model"):
        FacialExpressionClassifier.from_keras(model, classes=[0, 1, 2], dropout=0.5)


def test_model_with_a_scaling_layer_of_its_own():
    model = keras.Sequential([keras.Input(SHAPE), layers.Rescaling(1 / 255), network(SHAPE, 3)])
    with pytest.warns(UserWarning, match=r"scaling layer of its own.*pixel_range=\(0, 255\)"):
        FacialExpressionClassifier.from_keras(model, classes=[0, 1, 2])
    FacialExpressionClassifier.from_keras(model, classes=[0, 1, 2], pixel_range=(0, 255))


@pytest.mark.slow
def test_given_model_is_copied(model, X, tmp_path):
    before = [weight.copy() for weight in model.get_weights()]
    classifier = FacialExpressionClassifier.from_keras(model, classes=[0, 1, 2], epochs=2)
    np.testing.assert_allclose(classifier.predict_proba(X), outputs(model, X), atol=1e-6)
    classifier.fit(X, np.arange(24) % 3)
    assert np.abs(classifier.predict_proba(X) - outputs(model, X)).max() > 1e-4
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_copies_start_from_the_given_weights(model, X, tmp_path):
    classifier = FacialExpressionClassifier.from_keras(
        model, classes=["b", "a", "c"], epochs=1, random_state=0
    )
    expected = classifier.predict_proba(X)
    copies = [
        copy.deepcopy(classifier),
        pickle.loads(pickle.dumps(classifier)),
        skfer.load(skfer.save(classifier, tmp_path / "model.skfer")),
    ]
    y = np.tile(["a", "b", "c"], 8)
    fitted = clone(classifier).fit(X, y).predict_proba(X)
    for other in copies:
        np.testing.assert_allclose(other.predict_proba(X), expected, atol=1e-6)
        again = copy.deepcopy(other)
        np.testing.assert_allclose(again.predict_proba(X), expected, atol=1e-6)
        np.testing.assert_allclose(clone(other).fit(X, y).predict_proba(X), fitted, atol=1e-5)


@pytest.mark.parametrize("architecture", ["file", "text", "model"])
def test_architecture_and_weights(model, X, tmp_path, architecture):
    (tmp_path / "fer.json").write_text(model.to_json())
    model.save_weights(tmp_path / "fer.weights.h5")
    given = {
        "file": str(tmp_path / "fer.json"),
        "text": model.to_json(),
        "model": network(SHAPE, 3),
    }[architecture]
    classifier = FacialExpressionClassifier.from_keras(
        given, weights=tmp_path / "fer.weights.h5", classes=[0, 1, 2], epochs=1
    )
    np.testing.assert_allclose(classifier.predict_proba(X), outputs(model, X), atol=1e-6)
    clone(classifier).fit(X, np.arange(24) % 3)


def test_pixel_range(model, X):
    for pixel_range, scaled in [
        ((-1, 1), lambda pixels: pixels / np.float32(127.5) - 1),
        ((0, 255), np.float32),
    ]:
        classifier = FacialExpressionClassifier.from_keras(
            model, classes=[0, 1, 2], pixel_range=pixel_range
        )
        expected = np.asarray(model(scaled(X[..., None])))
        np.testing.assert_allclose(classifier.predict_proba(X), expected, atol=1e-5)


def test_regressor_of_a_given_model(model, X):
    affect = np.random.default_rng(1).uniform(-1, 1, (24, 2))
    regressor = FacialAffectRegressor(model, epochs=1, random_state=0).fit(X, affect)
    estimates = regressor.predict(X)
    assert estimates.shape == (24, 2)
    assert not np.allclose(estimates.sum(axis=1), 1)


def test_network_without_an_input(X):
    classifier = FacialExpressionClassifier(without_input, epochs=1).fit(X, np.arange(24) % 2)
    assert pickle.loads(pickle.dumps(classifier)).predict(X).shape == (24,)


@pytest.mark.slow
@pytest.mark.parametrize("saved", [True, False])
def test_other_labels(model, X, tmp_path, saved):
    model.save(tmp_path / "model.h5")
    given = tmp_path / "model.h5" if saved else model
    y = np.tile(["smiling", "not"], 12)
    classifier = FacialExpressionClassifier(
        given, epochs=1, fine_tune={"frozen_epochs": 1}, random_state=0
    ).fit(X, y)
    assert classifier.classes_.tolist() == ["not", "smiling"]
    body = classifier.network_.layers[-1]
    expected = model.get_layer("first").get_weights()[0]
    np.testing.assert_array_equal(body.get_layer("first").get_weights()[0], expected)
    pickle.loads(pickle.dumps(classifier)).predict(X)
    classifier = FacialExpressionClassifier.from_keras(given, classes=[0, 1, 2], epochs=1)
    classifier.set_params(classes=None).fit(X, y)
    assert classifier.classes_.tolist() == ["not", "smiling"]
    with pytest.raises(ValueError, match=r"not one for each of the 2 classes.*gives the model new"):
        FacialExpressionClassifier.from_keras(given, classes=["a", "b"])


def softmax(x, n_outputs):
    return layers.Dense(n_outputs, activation="softmax")(layers.Flatten()(x))


def tensor(input_shape, n_outputs):
    return softmax(keras.Input(input_shape), n_outputs)


def without_input(input_shape, n_outputs):
    return keras.Sequential([layers.Flatten(), layers.Dense(n_outputs, activation="softmax")])


def two_outputs(input_shape, n_outputs):
    image = keras.Input(input_shape)
    x = layers.Flatten()(image)
    return keras.Model(image, [layers.Dense(n_outputs)(x), layers.Dense(1)(x)])


def two_inputs(input_shape, n_outputs):
    first, second = keras.Input(input_shape), keras.Input(input_shape)
    return keras.Model([first, second], softmax(layers.Add()([first, second]), n_outputs))


def flat(input_shape, n_outputs):
    image = keras.Input((144,))
    return keras.Model(image, layers.Dense(n_outputs, activation="softmax")(image))


def channels_first(input_shape, n_outputs):
    image = keras.Input((1, 12, 12))
    return keras.Model(image, softmax(image, n_outputs))


class Subclassed(keras.Model):
    def __init__(self, input_shape, n_outputs):
        super().__init__()
        self.flat = layers.Flatten()
        self.end = layers.Dense(n_outputs, activation="softmax")

    def call(self, x):
        return self.end(self.flat(x))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda shape, n: None, r"returned None \(a return is missing\); it must return a keras"),
        (lambda shape, n: [layers.Flatten()], "returned a list; it must return a keras.Model"),
        (lambda shape, n: keras.Sequential, "returned the class Sequential"),
        (lambda shape, n: layers.Dense(n), "returned a Dense"),
        (tensor, "returned a tensor, the outputs without the model"),
        (two_outputs, "has 1 inputs and 2 outputs; one image input"),
        (two_inputs, "has 2 inputs and 1 outputs"),
        (flat, r"takes inputs of shape \(144,\).*keras.layers.Reshape\(\(144,\)\)"),
        (channels_first, r"inputs of shape \(1, 12, 12\).*keras.layers.Permute\(\(3, 1, 2\)\)"),
        (Subclassed, "Subclassed without a graph of layers"),
        (Subclassed(SHAPE, 2), "is not built|without a graph of layers"),
    ],
)
def test_invalid_networks(X, function, message):
    with pytest.raises(ValueError, match=message):
        FacialExpressionClassifier(function, epochs=1).fit(X, np.arange(24) % 2)


@pytest.mark.slow
def test_suggested_conversions(X):
    logits = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.Dense(3)])
    for refused, before, after in (
        (flat(SHAPE, 3), layers.Reshape((144,)), None),
        (channels_first(SHAPE, 3), layers.Permute((3, 1, 2)), None),
        (logits, None, layers.Softmax()),
    ):
        with pytest.raises(ValueError, match=r"keras\.Sequential\("):
            FacialExpressionClassifier.from_keras(refused, classes=[0, 1, 2])
        parts = [part for part in (keras.Input(SHAPE), before, refused, after) if part is not None]
        classifier = FacialExpressionClassifier.from_keras(
            keras.Sequential(parts), classes=[0, 1, 2], epochs=1
        )
        np.testing.assert_allclose(classifier.predict_proba(X).sum(axis=1), 1, atol=1e-5)
        classifier.fit(X, np.arange(24) % 3)


def powers(input_shape, n_outputs, power=1.0):
    image = keras.Input(input_shape)
    return keras.Model(image, softmax(layers.Lambda(lambda x: x**power)(image), n_outputs))


@pytest.mark.parametrize(
    "changed",
    [
        {"network_params": {"power": 3.0}},
        {"network": network, "network_params": None},
        {"pixel_range": (0, 10)},
    ],
)
def test_copies_of_lambda_layers(X, changed):
    classifier = FacialExpressionClassifier(
        powers, network_params={"power": 2.0}, epochs=1, random_state=0
    ).fit(X, np.arange(24) % 2)
    expected = classifier.predict_proba(X)
    classifier.set_params(**changed)
    for other in (copy.deepcopy(classifier), pickle.loads(pickle.dumps(classifier))):
        np.testing.assert_allclose(other.predict_proba(X), expected, atol=1e-6)


FACTOR = {"now": 1.0}


def with_global_factor(input_shape, n_outputs):
    factor = FACTOR["now"]
    image = keras.Input(input_shape)
    return keras.Model(image, softmax(layers.Lambda(lambda x: x * factor)(image), n_outputs))


def test_uncopyable_lambda_layers(X, monkeypatch):
    classifier = FacialExpressionClassifier(with_global_factor, epochs=1)
    classifier.fit(X, np.arange(24) % 2)
    monkeypatch.setitem(FACTOR, "now", 0.1)
    with pytest.raises(ValueError, match="its copy would predict otherwise"):
        copy.deepcopy(classifier)
    model = powers(SHAPE, 3)
    classifier = FacialExpressionClassifier.from_keras(model, classes=[0, 1, 2])
    np.testing.assert_allclose(classifier.predict_proba(X), outputs(model, X), atol=1e-5)
    with pytest.raises(ValueError, match="has a layer that can't be copied, such as a Lambda"):
        copy.deepcopy(classifier)
