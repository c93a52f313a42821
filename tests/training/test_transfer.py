import copy

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skfer import FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces


@pytest.fixture(scope="module")
def faces():
    return make_faces(90, classes=["happy", "sad", "neutral"], random_state=0)


@pytest.fixture(scope="module")
def other_faces():
    return make_faces(60, classes=["angry", "surprise"], random_state=1)


@pytest.fixture
def fitted(faces, small_network):
    classifier = FacialExpressionClassifier(small_network, epochs=2, random_state=0)
    return classifier.fit(faces.images, faces.labels)


def fit_classifier(network, faces, **parameters):
    classifier = FacialExpressionClassifier(network, random_state=0, **parameters)
    return classifier.fit(faces.images, faces.labels)


def layer_kernel(classifier, layer):
    return classifier.network_.layers[-1].get_layer(layer).get_weights()[0]


@pytest.mark.slow
def test_transfer_to_other_classes(fitted, other_faces, small_network):
    head = {"weights": FrozenEstimator(fitted), "epochs": 1, "fine_tune": {"frozen_epochs": 1}}
    unfitted = clone(FacialExpressionClassifier(small_network, **head))
    assert unfitted.weights.estimator is fitted
    classifier = unfitted.set_params(random_state=0).fit(other_faces.images, other_faces.labels)
    assert classifier.classes_.tolist() == ["angry", "surprise"]
    assert np.array_equal(layer_kernel(classifier, "first"), layer_kernel(fitted, "first"))


@pytest.mark.slow
def test_weights_of_a_file_and_a_pipeline(fitted, other_faces, small_network, tmp_path):
    fitted.network_.save(tmp_path / "faces.keras")
    pipeline = make_pipeline(GrayscaleResizer(48), fitted)
    from_file, from_pipeline = (
        fit_classifier(small_network, other_faces, weights=weights, epochs=1)
        for weights in (tmp_path / "faces.keras", FrozenEstimator(pipeline))
    )
    assert np.array_equal(layer_kernel(from_file, "second"), layer_kernel(from_pipeline, "second"))


@pytest.mark.slow
def test_frozen_epochs(faces, fitted, small_network):
    classifier = fit_classifier(
        small_network,
        faces,
        weights=FrozenEstimator(fitted),
        epochs=5,
        fine_tune={"frozen_epochs": 2, "first_layer": "second"},
        learning_rate=0.01,
        schedule=None,
    )
    assert classifier.fine_tune_epoch_ == 2
    assert len(classifier.history_["loss"]) == classifier.n_iter_ == 5
    assert np.array_equal(layer_kernel(classifier, "first"), layer_kernel(fitted, "first"))
    assert not np.array_equal(layer_kernel(classifier, "second"), layer_kernel(fitted, "second"))
    assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.slow
def test_batch_norm_statistics_are_kept(faces, fitted, small_network):
    phases = {"weights": FrozenEstimator(fitted), "epochs": 2, "fine_tune": {"frozen_epochs": 1}}
    network = fit_classifier(small_network, faces, **phases).network_.layers[-1]
    name = next(layer.name for layer in fitted.network_.layers[-1].layers if "normal" in layer.name)
    before = fitted.network_.layers[-1].get_layer(name).get_weights()
    for old, new in zip(before, network.layers[1].get_weights(), strict=True):
        assert np.array_equal(old, new)


@pytest.mark.slow
def test_partial_fit_and_warm_start_after_a_frozen_phase(faces, fitted, small_network):
    head = {"weights": FrozenEstimator(fitted), "epochs": 1, "fine_tune": {"frozen_epochs": 1}}
    classifier = fit_classifier(small_network, faces, **head)
    assert np.array_equal(layer_kernel(classifier, "first"), layer_kernel(fitted, "first"))
    classifier.partial_fit(faces.images, faces.labels)
    assert np.array_equal(layer_kernel(classifier, "first"), layer_kernel(fitted, "first"))
    classifier.set_params(warm_start=True, fine_tune={"frozen_epochs": 0}, weights=None)
    classifier.fit(faces.images, faces.labels)
    assert not np.array_equal(layer_kernel(classifier, "first"), layer_kernel(fitted, "first"))


def head_kernel(classifier):
    return classifier.network_.layers[-1].layers[-1].get_weights()[0]


@pytest.mark.slow
def test_learning_rate_of_fine_tuning(faces, small_network):
    last = {"first_layer": 1, "learning_rate": 1e-6}
    classifier = fit_classifier(small_network, faces, epochs=1, fine_tune=last, schedule=None)
    assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(1e-6)
    with pytest.raises(ValueError, match="has learning_rate=1e-06, but no layers are fine-tuned"):
        classifier.set_params(fine_tune={"learning_rate": 1e-6}).fit(faces.images, faces.labels)


@pytest.mark.slow
def test_partial_fit_has_no_phases(faces, small_network):
    classifier = FacialExpressionClassifier(
        small_network, fine_tune={"frozen_epochs": 3}, random_state=0
    )
    classifier.partial_fit(faces.images, faces.labels, classes=["happy", "neutral", "sad"])
    assert classifier.n_iter_ == 1


@pytest.mark.slow
def test_fine_tuning_starts_from_the_best_frozen_epoch(faces, small_network):
    settings = {
        "epochs": 4,
        "fine_tune": {"frozen_epochs": 3, "learning_rate": 1e-12},
        "early_stopping": 1,
        "learning_rate": 1.0,
        "optimizer": "sgd",
    }
    for average in (None, 0.5):
        classifier = fit_classifier(small_network, faces, weight_average=average, **settings)
        losses = classifier.history_["val_loss"]
        assert losses[-1] == pytest.approx(min(losses), rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(("early_stopping", "patience"), [(True, 5), (np.True_, 5), (1, 1), (3, 3)])
def test_patience_of_early_stopping(faces, tiny_network, early_stopping, patience):
    # With this learning rate, no epoch is better than the first.
    settings = {"epochs": 8, "optimizer": "sgd", "learning_rate": 1e-30, "schedule": None}
    classifier = fit_classifier(tiny_network, faces, early_stopping=early_stopping, **settings)
    assert classifier.n_iter_ == 1 + patience


@pytest.mark.slow
def test_optimizer_with_a_schedule_of_its_own(faces, small_network):
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    classifier = FacialExpressionClassifier(
        small_network,
        optimizer=keras.optimizers.SGD(decay),
        epochs=2,
        fine_tune={"frozen_epochs": 1},
    )
    with pytest.raises(ValueError, match="has a rate with a schedule of its own"):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.slow
def test_weights_of_another_network(faces, fitted, tiny_network):
    classifier = FacialExpressionClassifier(tiny_network, weights=FrozenEstimator(fitted))
    with pytest.raises(ValueError, match=r"to another network.*(shape|arrays)"):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.parametrize(
    ("fine_tune", "message"),
    [
        (
            {"frozen": 2},
            r"no entry 'frozen'; .* \['frozen_epochs', 'first_layer', 'learning_rate'\]",
        ),
        ({"frozen_epochs": -1}, r"'frozen_epochs' parameter of fine_tune must be an int.* Got -1"),
        ({"frozen_epochs": "two"}, "'frozen_epochs' parameter of fine_tune must be an int"),
        ({"first_layer": 0}, "'first_layer' parameter of fine_tune must be .*str"),
        ({"learning_rate": 0.0}, "'learning_rate' parameter of fine_tune must be a float"),
        ({"frozen_epochs": 3}, "frozen_epochs=3, more than epochs=2"),
        ({"first_layer": "secnd"}, r"'secnd'.*second"),
        ("all", "'fine_tune' parameter of FacialExpressionClassifier must be .*dict"),
    ],
)
def test_invalid_fine_tune(fine_tune, message, faces, small_network):
    classifier = FacialExpressionClassifier(small_network, epochs=2, fine_tune=fine_tune)
    with pytest.raises(ValueError, match=message):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.slow
def test_search_of_fine_tune(faces, tiny_network):
    grid = {"fine_tune": [{"frozen_epochs": 2}, {"frozen_epochs": 1, "learning_rate": 1e-4}]}
    classifier = FacialExpressionClassifier(tiny_network, epochs=3, random_state=0)
    original = copy.deepcopy(grid)
    search = GridSearchCV(classifier, grid, cv=2).fit(faces.images, faces.labels)
    best = search.best_estimator_
    assert best.fine_tune_epoch_ == search.best_params_["fine_tune"]["frozen_epochs"]
    assert grid == original
    assert repr(clone(best)) == repr(best)
    assert "fine_tune={'frozen_epochs': 2}" in repr(
        best.set_params(fine_tune=original["fine_tune"][0])
    )


@pytest.mark.slow
def test_head_keeps_the_weights_of_known_classes(faces, fitted, small_network):
    labels = np.where(faces.labels == "neutral", "glum", faces.labels)
    start = FacialExpressionClassifier(
        small_network, weights=FrozenEstimator(fitted), epochs=1, learning_rate=1e-9, random_state=0
    ).fit(faces.images, labels)
    before, after = head_kernel(fitted), head_kernel(start)
    np.testing.assert_allclose(after[:, 1:], before[:, [0, 2]], atol=1e-5)
    assert not np.allclose(after[:, 0], before[:, 1], atol=1e-2)


def test_missing_weights_file(faces, small_network):
    classifier = FacialExpressionClassifier(small_network, weights="no/such/file.keras")
    with pytest.raises(ValueError, match=r"is not a file.*FrozenEstimator"):
        classifier.fit(faces.images, faces.labels)
