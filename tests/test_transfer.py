"""Weights from elsewhere, and fits in two phases."""

from __future__ import annotations

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


def weights_of(classifier, layer):
    return classifier.network_.layers[-1].get_layer(layer).get_weights()[0]


@pytest.mark.slow
def test_a_fit_starts_from_a_fitted_classifier_of_other_classes(fitted, other_faces, small_network):
    tuned = FacialExpressionClassifier(
        small_network,
        weights=FrozenEstimator(fitted),
        epochs=1,
        fine_tune={"frozen_epochs": 1},
        random_state=0,
    ).fit(other_faces.images, other_faces.labels)
    assert tuned.classes_.tolist() == ["angry", "surprise"]
    assert np.array_equal(weights_of(tuned, "first"), weights_of(fitted, "first"))


@pytest.mark.slow
def test_or_from_a_file_or_a_pipeline(fitted, faces, other_faces, small_network, tmp_path):
    fitted.network_.save(tmp_path / "faces.keras")
    pipeline = make_pipeline(GrayscaleResizer(48), fitted)
    settings = {"epochs": 1, "random_state": 0}
    one, other = (
        FacialExpressionClassifier(small_network, weights=weights, **settings).fit(
            other_faces.images, other_faces.labels
        )
        for weights in (tmp_path / "faces.keras", FrozenEstimator(pipeline))
    )
    assert np.array_equal(weights_of(one, "second"), weights_of(other, "second"))


@pytest.mark.slow
def test_a_frozen_classifier_survives_cloning(fitted, small_network):
    classifier = FacialExpressionClassifier(small_network, weights=FrozenEstimator(fitted))
    assert clone(classifier).weights.estimator.network_ is fitted.network_


@pytest.mark.slow
def test_the_head_is_trained_first_and_deeper_layers_after(faces, fitted, small_network):
    classifier = FacialExpressionClassifier(
        small_network,
        weights=FrozenEstimator(fitted),
        epochs=5,
        fine_tune={"frozen_epochs": 2, "first_layer": "second"},
        learning_rate=0.01,
        schedule=None,
        random_state=0,
    ).fit(faces.images, faces.labels)
    assert classifier.fine_tune_epoch_ == 2
    assert len(classifier.history_["loss"]) == classifier.n_iter_ == 5
    assert np.array_equal(weights_of(classifier, "first"), weights_of(fitted, "first"))
    assert not np.array_equal(weights_of(classifier, "second"), weights_of(fitted, "second"))
    assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.slow
def test_statistics_of_batch_norm_stay_while_fine_tuning(faces, fitted, small_network):
    tuned = FacialExpressionClassifier(
        small_network,
        weights=FrozenEstimator(fitted),
        epochs=2,
        fine_tune={"frozen_epochs": 1},
        random_state=0,
    ).fit(faces.images, faces.labels)
    name = next(layer.name for layer in fitted.network_.layers[-1].layers if "normal" in layer.name)
    before = fitted.network_.layers[-1].get_layer(name).get_weights()
    after = tuned.network_.layers[-1].get_layer(tuned.network_.layers[-1].layers[1].name)
    for old, new in zip(before, after.get_weights(), strict=True):
        assert np.array_equal(old, new)


def kernel_of_the_head(classifier):
    return classifier.network_.layers[-1].layers[-1].get_weights()[0]


@pytest.mark.slow
def test_outputs_for_labels_that_both_have_are_taken(faces, fitted, small_network):
    """happy, neutral, sad -> glum, happy, sad."""
    labels = np.where(faces.labels == "neutral", "glum", faces.labels)
    start = FacialExpressionClassifier(
        small_network,
        weights=FrozenEstimator(fitted),
        epochs=1,
        learning_rate=1e-9,
        random_state=0,
    ).fit(faces.images, labels)
    before, after = kernel_of_the_head(fitted), kernel_of_the_head(start)
    np.testing.assert_allclose(after[:, 1:], before[:, [0, 2]], atol=1e-5)
    assert not np.allclose(after[:, 0], before[:, 1], atol=1e-2)


@pytest.mark.slow
def test_a_warm_fit_without_phases_trains_all_layers_again(faces, fitted, small_network):
    classifier = FacialExpressionClassifier(
        small_network,
        weights=FrozenEstimator(fitted),
        epochs=1,
        fine_tune={"frozen_epochs": 1},
        random_state=0,
    ).fit(faces.images, faces.labels)
    assert np.array_equal(weights_of(classifier, "first"), weights_of(fitted, "first"))
    classifier.partial_fit(faces.images, faces.labels)
    assert np.array_equal(weights_of(classifier, "first"), weights_of(fitted, "first"))
    classifier.set_params(warm_start=True, fine_tune={"frozen_epochs": 0}, weights=None)
    classifier.fit(faces.images, faces.labels)
    assert not np.array_equal(weights_of(classifier, "first"), weights_of(fitted, "first"))


def test_fine_tuning_without_frozen_epochs_has_its_rate(faces, small_network):
    classifier = FacialExpressionClassifier(
        small_network,
        epochs=1,
        fine_tune={"first_layer": 1, "learning_rate": 1e-6},
        schedule=None,
        random_state=0,
    ).fit(faces.images, faces.labels)
    assert float(classifier.network_.optimizer.learning_rate) == pytest.approx(1e-6)
    with pytest.raises(ValueError, match="has learning_rate=1e-06, but no layers are fine-tuned"):
        classifier.set_params(fine_tune={"learning_rate": 1e-6}).fit(faces.images, faces.labels)


@pytest.mark.slow
def test_partial_fit_knows_no_phases(faces, small_network):
    classifier = FacialExpressionClassifier(
        small_network, fine_tune={"frozen_epochs": 3}, random_state=0
    )
    classifier.partial_fit(faces.images, faces.labels, classes=["happy", "neutral", "sad"])
    assert classifier.n_iter_ == 1


@pytest.mark.slow
def test_phases_after_early_stopping_begin_with_the_best_weights(faces, small_network):
    settings = {
        "epochs": 4,
        "fine_tune": {"frozen_epochs": 3, "learning_rate": 1e-12},
        "early_stopping": 1,
        "learning_rate": 1.0,
        "optimizer": "sgd",
        "random_state": 0,
    }
    plain, averaged = (
        FacialExpressionClassifier(small_network, weight_average=average, **settings).fit(
            faces.images, faces.labels
        )
        for average in (None, 0.5)
    )
    for classifier in (plain, averaged):
        losses = classifier.history_["val_loss"]
        assert losses[-1] == pytest.approx(min(losses), rel=1e-3)


@pytest.mark.slow
def test_an_optimizer_with_a_schedule_of_its_own(faces, small_network):
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    classifier = FacialExpressionClassifier(
        small_network,
        optimizer=keras.optimizers.SGD(decay),
        epochs=2,
        fine_tune={"frozen_epochs": 1},
    )
    with pytest.raises(ValueError, match="has a rate with a schedule of its own"):
        classifier.fit(faces.images, faces.labels)


def test_more_frozen_epochs_than_epochs(faces, small_network):
    classifier = FacialExpressionClassifier(small_network, epochs=2, fine_tune={"frozen_epochs": 3})
    with pytest.raises(ValueError, match="frozen_epochs=3, more than epochs=2"):
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
        ("all", "'fine_tune' parameter of FacialExpressionClassifier must be .*dict"),
    ],
)
def test_invalid_fine_tune_is_named(fine_tune, message, faces, small_network):
    classifier = FacialExpressionClassifier(small_network, epochs=2, fine_tune=fine_tune)
    with pytest.raises(ValueError, match=message):
        classifier.fit(faces.images, faces.labels)


def test_search_over_fine_tune(faces, tiny_network):
    grid = {"fine_tune": [{"frozen_epochs": 2}, {"frozen_epochs": 1, "learning_rate": 1e-4}]}
    classifier = FacialExpressionClassifier(tiny_network, epochs=3, random_state=0)
    given = copy.deepcopy(grid)
    search = GridSearchCV(classifier, grid, cv=2).fit(faces.images, faces.labels)
    best = search.best_estimator_
    assert best.fine_tune_epoch_ == search.best_params_["fine_tune"]["frozen_epochs"]
    assert grid == given
    assert repr(clone(best)) == repr(best)
    assert "fine_tune={'frozen_epochs': 2}" in repr(
        best.set_params(fine_tune=given["fine_tune"][0])
    )


@pytest.mark.parametrize("early_stopping", [0, -1, 2.5, "yes"])
def test_invalid_early_stopping_is_named(early_stopping, faces, tiny_network):
    classifier = FacialExpressionClassifier(tiny_network, early_stopping=early_stopping)
    with pytest.raises(ValueError, match="'early_stopping' parameter"):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.parametrize(("early_stopping", "patience"), [(True, 5), (np.True_, 5), (1, 1), (3, 3)])
def test_early_stopping_waits_for_the_given_epochs(early_stopping, patience, faces, tiny_network):
    classifier = FacialExpressionClassifier(
        tiny_network,
        early_stopping=early_stopping,
        epochs=8,
        optimizer="sgd",
        learning_rate=1e-30,  # no epoch is better than the first
        schedule=None,
        random_state=0,
    ).fit(faces.images, faces.labels)
    assert classifier.n_iter_ == 1 + patience


def test_an_unknown_layer_is_answered_with_those_that_are_close(faces, small_network):
    classifier = FacialExpressionClassifier(
        small_network, epochs=2, fine_tune={"first_layer": "secnd"}
    )
    with pytest.raises(ValueError, match=r"'secnd'.*second"):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("no/such/file.keras", "is no file.*FrozenEstimator"),
        (FrozenEstimator(FacialExpressionClassifier()), "no fitted network"),
    ],
)
def test_weights_that_are_none(weights, message, faces, small_network):
    classifier = FacialExpressionClassifier(small_network, weights=weights)
    with pytest.raises(ValueError, match=message):
        classifier.fit(faces.images, faces.labels)


@pytest.mark.slow
def test_weights_of_another_network(faces, fitted, tiny_network):
    classifier = FacialExpressionClassifier(tiny_network, weights=FrozenEstimator(fitted))
    with pytest.raises(ValueError, match=r"of another network.*(shape|arrays)"):
        classifier.fit(faces.images, faces.labels)
