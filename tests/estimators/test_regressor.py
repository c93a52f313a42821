import pickle

import _utils
import keras
import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import make_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import Pipeline

import skfer
from skfer.datasets import make_faces
from skfer.metrics import concordance_correlation
from skfer.networks import list_networks


@pytest.fixture(scope="module")
def two_lights():
    """Images with the two ratings as the brightness of their upper and lower halves."""
    rng = np.random.default_rng(0)
    light = rng.integers(0, 101, (160, 2))
    X = rng.integers(0, 156, (160, 16, 16), dtype=np.uint8)
    X[:, :8] += light[:, :1, None].astype(np.uint8)
    X[:, 8:] += light[:, 1:, None].astype(np.uint8)
    return X, light / 50 - 1


def new_regressor(network=_utils.tiny_network, **parameters):
    settings = {"epochs": 8, "batch_size": 16, "learning_rate": 1e-2, "schedule": None}
    settings |= {"augment": None, "random_state": 0}
    return skfer.FacialAffectRegressor(network, **settings | parameters)


@pytest.fixture(scope="module")
def fitted(two_lights):
    return new_regressor().fit(*two_lights)


@pytest.mark.slow
def test_fit_and_pickle(fitted, two_lights):
    X, y = two_lights
    assert is_regressor(fitted)
    assert fitted.n_outputs_ == 2
    assert fitted.n_iter_ == 8
    assert fitted.score(X, y) > 0.85
    predicted = fitted.predict(X)
    assert predicted.shape == y.shape
    assert abs(predicted).max() <= 1
    assert set(fitted.history_) == {"loss", "concordance"}
    assert fitted.history_["concordance"][-1] > 0.9
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(X), fitted.predict(X))


@pytest.mark.slow
def test_concordance_loss(two_lights):
    X, y = two_lights
    regressor = new_regressor(loss="concordance")
    regressor.fit(X[40:], y[40:], X_val=X[:40], y_val=y[:40])
    expected = concordance_correlation(y[:40], regressor.predict(X[:40]))
    assert expected > 0.9
    assert regressor.history_["val_concordance"][-1] == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_multi_output_regressor(two_lights):
    X, y = two_lights
    multi = MultiOutputRegressor(new_regressor()).fit(X, y)
    assert multi.score(X, y) > 0.85
    assert [one.n_outputs_ for one in multi.estimators_] == [1, 1]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(multi)).predict(X), multi.predict(X))


@pytest.mark.slow
def test_ratings_on_another_scale(two_lights):
    X, y = two_lights
    ratings = 5 + 4 * y[:, 0]
    regressor = new_regressor(target_range=(1, 9), validation_fraction=0.1).fit(X, ratings)
    predicted = regressor.predict(X)
    assert predicted.shape == (160,)
    assert regressor.score(X, ratings) > 0.85
    assert predicted.min() >= 1
    assert predicted.max() <= 9
    # On the default scale, the fit is the same.
    regressor = new_regressor(validation_fraction=0.1).fit(X, y[:, :1])
    np.testing.assert_allclose(5 + 4 * regressor.predict(X)[:, 0], predicted, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_networks_end_in_tanh(two_lights):
    X, y = two_lights
    for network in ["cnn4", "little_vgg", "mini_resnet", "mini_xception"]:
        assert network in list_networks()
        regressor = skfer.FacialAffectRegressor(network, epochs=1, random_state=0).fit(X[:8], y[:8])
        last = regressor.network_.layers[-1].layers[-1]
        assert last.activation is keras.activations.tanh


def test_ratings_outside_the_target_range(two_lights):
    X, y = two_lights
    invalid = y.copy()
    invalid[17] = -2
    with pytest.raises(
        ValueError, match=r"y\[17\] is \[-2.0, -2.0\], outside .* 1 of 160 .* -2 st"
    ):
        new_regressor().fit(X, invalid)
    with pytest.raises(ValueError, match=r"y_val\[0\] is \[1.5, 0.0\], outside"):
        new_regressor().fit(X, y, X_val=X[:1], y_val=[[1.5, 0]])
    with pytest.raises(ValueError, match=r"target_range must be \(low, high\)"):
        new_regressor(target_range=(1, -1)).fit(X, y)


def test_target_range_of_the_data(two_lights):
    X, y = two_lights
    regressor = new_regressor(target_range=None, epochs=2)
    regressor.fit(X, 100 + y * [10, 0], X_val=X, y_val=150 + y)
    np.testing.assert_allclose(regressor.target_range_[1], [100, 100])
    predicted = regressor.predict(X)
    assert regressor.target_range_[0, 0] <= predicted[:, 0].min()
    assert predicted[:, 0].max() <= regressor.target_range_[0, 1]
    np.testing.assert_array_equal(predicted[:, 1], 100)


def test_failed_fit(two_lights, fitted):
    X, y = two_lights
    before = fitted.predict(X)
    with pytest.raises(ValueError, match="outside target_range"):
        fitted.fit(X, 2 * y[:, :1])
    np.testing.assert_array_equal(fitted.predict(X), before)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mse", "concordance"])
@pytest.mark.parametrize(("weight", "lowest"), [(0.0, 0.9), (0.05, 0.7)])
def test_sample_weights(two_lights, loss, weight, lowest):
    X, y = two_lights
    weights = np.r_[np.ones(160), np.full(160, weight)]
    regressor = new_regressor(loss=loss).fit(np.r_[X, X], np.r_[y, -y], sample_weight=weights)
    assert concordance_correlation(y, regressor.predict(X)) > lowest


@pytest.mark.slow
def test_partial_fit_and_warm_start(two_lights):
    X, y = two_lights
    regressor = new_regressor(epochs=3).fit(X, y)
    parts = new_regressor()
    for _ in range(3):
        parts.partial_fit(X, y)
    np.testing.assert_allclose(parts.predict(X), regressor.predict(X), rtol=1e-5, atol=1e-6)
    regressor.set_params(warm_start=True).fit(X, y)
    assert regressor.n_iter_ == 6
    assert regressor.history_["loss"][-1] < regressor.history_["loss"][2]
    with pytest.raises(
        ValueError, match="y has 1 columns, but FacialAffectRegressor was fitted on 2"
    ):
        regressor.fit(X, y[:, 0])


@pytest.mark.slow
def test_interrupted_fit_continues(two_lights, tmp_path):
    X, y = two_lights
    uninterrupted = new_regressor(epochs=3, loss="concordance").fit(X, y)
    regressor = clone(uninterrupted).set_params(checkpoint_dir=tmp_path, callbacks=[Interrupt()])
    with pytest.raises(KeyboardInterrupt):
        regressor.fit(X, y)
    assert len(list(tmp_path.iterdir())) == 1
    regressor.set_params(callbacks=None).fit(X, y)
    np.testing.assert_array_equal(regressor.predict(X), uninterrupted.predict(X))
    assert not list(tmp_path.iterdir())


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_transfer_from_a_classifier(two_lights):
    X, y = two_lights
    classifier = skfer.FacialExpressionClassifier(_utils.tiny_network, epochs=1)
    classifier.fit(X, np.where(y[:, 0] > 0, "happy", "sad"))
    # The last layer is replaced although it has two outputs in both estimators.
    regressor = new_regressor(
        weights=FrozenEstimator(classifier), epochs=1, fine_tune={"frozen_epochs": 1}
    )
    regressor.fit(X, y)
    kernel, bias, head, _ = regressor.network_.get_weights()
    np.testing.assert_array_equal(kernel, classifier.network_.get_weights()[0])
    assert not np.allclose(head, classifier.network_.get_weights()[2], atol=0.05)
    assert bias.shape == (4,)
    again = new_regressor(weights=FrozenEstimator(regressor), learning_rate=1e-12, epochs=1)
    np.testing.assert_allclose(again.fit(X, y).predict(X), regressor.predict(X), atol=1e-5)


@pytest.mark.slow
def test_frozen_epochs_train_the_head_only():
    faces = make_faces(16, random_state=0)
    y = np.column_stack([faces.valence, faces.arousal])
    regressor = skfer.FacialAffectRegressor(
        "mini_resnet", weights="fer2013", epochs=1, fine_tune={"frozen_epochs": 1}
    )
    *body, _, _ = regressor.fit(faces.images, y).network_.get_weights()
    shipped = skfer.load_pretrained("fer2013")["classifier"].network_.get_weights()
    assert len(body) > 10
    for one, other in zip(body, shipped[: len(body)], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
def test_head_of_a_saved_model_is_kept(two_lights, tmp_path):
    X, y = two_lights
    model = keras.Sequential(
        [keras.Input((16, 16, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.save(tmp_path / "affect.keras")
    regressor = skfer.FacialAffectRegressor(
        tmp_path / "affect.keras", epochs=1, learning_rate=1e-12
    )
    regressor.fit(X, y)
    expected = np.asarray(model(X[..., None] / np.float32(255)))
    np.testing.assert_allclose(regressor.predict(X), expected, atol=1e-4)
    # For another number of ratings, the model gets a new last layer.
    assert regressor.fit(X, y[:, 0]).predict(X).shape == (len(X),)


def softmax_network(input_shape, n_outputs):
    layers = [keras.layers.Flatten(), keras.layers.Dense(n_outputs), keras.layers.Softmax()]
    return keras.Sequential([keras.Input(input_shape), *layers])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"network": softmax_network}, "ends in a Softmax layer"),
        ({"loss": "ccc"}, "'loss' parameter"),
        ({"loss": "concordance", "batch_size": 1}, "batch_size=1 is too small"),
        ({"validation_fraction": 0.999}, "0 for training; each part needs at least 1"),
    ],
)
def test_invalid_parameters(two_lights, parameters, message):
    X, y = two_lights
    with pytest.raises(ValueError, match=message):
        new_regressor(**parameters).fit(X, y)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*no face found:UserWarning")
def test_search_by_concordance():
    photos = make_faces(40, classes=["happy", "sad", "surprise"], scene=(120, 120), random_state=0)
    y = np.column_stack([photos.valence, photos.arousal])
    pipeline = Pipeline(
        [
            ("cropper", skfer.FaceCropper()),
            ("resizer", skfer.GrayscaleResizer(24)),
            ("regressor", new_regressor(epochs=2)),
        ]
    )
    search = GridSearchCV(
        pipeline,
        {"regressor__loss": ["mse", "concordance"], "cropper__margin": [0.0]},
        scoring=make_scorer(concordance_correlation),
        cv=2,
    )
    search.fit(photos.images, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    loaded = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(loaded.predict(photos.images), search.predict(photos.images))


@pytest.mark.slow
def test_concordance_on_unseen_faces():
    X, y = drawn_faces(3000, seed=0)
    regressor = skfer.FacialAffectRegressor(loss="concordance", random_state=0, verbose=0).fit(X, y)
    unseen, truth = drawn_faces(400, seed=1)
    concordance = concordance_correlation(
        truth, regressor.predict(unseen), multioutput="raw_values"
    )
    assert concordance.min() >= 0.85


def drawn_faces(n_faces, seed):
    faces = make_faces(n_faces, size=32, noise=0.05, occlusion=0.2, pose=20, random_state=seed)
    return faces.images, np.column_stack([faces.valence, faces.arousal])
