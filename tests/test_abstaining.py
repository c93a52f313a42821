"""No answer rather than an unsure one."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skfer import AbstainingClassifier, FacialExpressionClassifier, GrayscaleResizer
from skfer.datasets import make_faces
from skfer.metrics import threshold_for_coverage


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(200, centers=3, cluster_std=3, random_state=0)
    return X, np.array(["angry", "happy", "sad"])[y]


@pytest.fixture(scope="module")
def fitted(blobs):
    return LogisticRegression().fit(*blobs)


@pytest.fixture(scope="module")
def faces():
    return make_faces(40, classes=["happy", "sad"], random_state=0)


@pytest.fixture(scope="module")
def pipeline(faces):
    import networks_for_tests

    classifier = FacialExpressionClassifier(
        networks_for_tests.tiny_network, epochs=1, random_state=0
    )
    return make_pipeline(GrayscaleResizer(24), classifier).fit(faces.images, faces.labels)


def test_answers_below_the_threshold_are_withheld(blobs, fitted):
    X, _ = blobs
    careful = AbstainingClassifier(fitted, threshold=0.8)
    proba, said = fitted.predict_proba(X), careful.predict(X)
    sure = proba.max(axis=1) >= 0.8
    assert 0 < sure.sum() < len(X)
    assert (said[~sure] == "unsure").all()
    np.testing.assert_array_equal(said[sure], fitted.predict(X)[sure])
    np.testing.assert_array_equal(careful.predict_proba(X), proba)
    assert careful.classes_.tolist() == ["angry", "happy", "sad"]


def test_both_scores_are_told_plainly(blobs, fitted):
    X, y = blobs
    careful = AbstainingClassifier(fitted, threshold=0.8)
    accuracy, coverage = careful.selective_score(X, y)
    assert careful.score(X, y) == pytest.approx(accuracy * coverage)
    assert careful.score(X, y) < fitted.score(X, y) < accuracy


def test_a_pipeline_of_images_that_is_fitted_predicts_at_once(faces, pipeline):
    threshold = threshold_for_coverage(pipeline.predict_proba(faces.images), 0.5)
    careful = AbstainingClassifier(pipeline, threshold=threshold)
    said = careful.predict(faces.images)
    assert said.shape == (40,)
    assert "unsure" in said
    assert set(said) <= {"happy", "sad", "unsure"}
    assert careful.selective_score(faces.images, faces.labels).coverage >= 0.5


def test_what_is_frozen_is_not_fitted_again(blobs, fitted):
    X, _ = blobs
    careful = AbstainingClassifier(FrozenEstimator(fitted)).fit(X, np.full(len(X), "other"))
    assert careful.classes_.tolist() == ["angry", "happy", "sad"]
    again = clone(careful)
    np.testing.assert_array_equal(again.predict(X), careful.predict(X))


def test_fit_fits_a_copy(blobs, fitted):
    X, y = blobs
    part = y != "sad"
    careful = AbstainingClassifier(fitted).fit(X[part], y[part])
    assert careful.classes_.tolist() == ["angry", "happy"]
    assert fitted.classes_.tolist() == ["angry", "happy", "sad"]


def test_the_threshold_is_searched_without_a_fit_of_its_own(blobs, fitted):
    search = GridSearchCV(
        AbstainingClassifier(FrozenEstimator(fitted)), {"threshold": [0.0, 0.9]}, cv=2
    ).fit(*blobs)
    # To accuracy an abstention is wrong: the search finds that it never pays.
    assert search.best_params_ == {"threshold": 0.0}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array(["a", "b", "c"]), "unsure"),  # as long as a label of one letter is not
        (np.array(["a", "b", "c"], dtype=object), "unsure"),
        (np.array([3, 5, 7]), -1),
        (np.array([-1, 0, 1]), -2),
        (np.array([0.5, 1.5, 2.5]), -1.0),
    ],
)
def test_the_label_of_abstention_is_of_one_kind_with_the_labels(blobs, labels, expected):
    X, y = blobs
    y = labels[np.searchsorted(["angry", "happy", "sad"], y)]
    if labels.dtype.kind == "f":  # floats are no labels to scikit-learn unless they are whole
        y = np.floor(y)
    careful = AbstainingClassifier(LogisticRegression(), threshold=0.8).fit(X, y)
    said = careful.predict(X)
    assert careful.abstention_label_ == expected
    assert expected in said
    assert said.dtype.kind == y.dtype.kind
    # What users do with labels next.
    assert confusion_matrix(y, said).sum() == len(X)
    assert 0 < accuracy_score(y, said) < 1
    assert len(np.unique(said)) == 4
    assert pd.crosstab(pd.Series(y), pd.Series(said)).shape == (3, 4)


def test_another_label_may_be_chosen(blobs, fitted):
    X, _ = blobs
    careful = AbstainingClassifier(fitted, threshold=0.8, abstention_label="nobody can tell")
    assert "nobody can tell" in careful.predict(X)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "abstention_label=-1, but the classes are strings.*'unsure'"),
        ("happy", "abstention_label='happy' is NaN or one of the classes"),
    ],
)
def test_a_label_that_would_mislead_is_refused(blobs, fitted, label, message):
    X, y = blobs
    careful = AbstainingClassifier(fitted, abstention_label=label)
    with pytest.raises(ValueError, match=message):
        careful.predict(X)
    with pytest.raises(ValueError, match=message):
        careful.fit(X, y)


def test_a_word_among_numbers_is_refused(blobs):
    X, y = blobs
    numbers = np.searchsorted(["angry", "happy", "sad"], y)
    with pytest.raises(ValueError, match=r"the classes are numbers.*-1"):
        AbstainingClassifier(LogisticRegression(), abstention_label="unsure").fit(X, numbers)


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "high", None])
def test_thresholds_are_probabilities(blobs, threshold):
    with pytest.raises(ValueError, match="'threshold' parameter of AbstainingClassifier"):
        AbstainingClassifier(LogisticRegression(), threshold=threshold).fit(*blobs)


def test_nothing_is_known_before_a_fit(blobs):
    careful = AbstainingClassifier(LogisticRegression())
    assert is_classifier(careful)
    assert not hasattr(careful, "classes_")
    with pytest.raises(NotFittedError):
        careful.predict(blobs[0])


def test_weights_of_samples_are_routed(blobs):
    X, y = blobs
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        weighed = AbstainingClassifier(inner).fit(X, y, sample_weight=(y != "sad") + 1e-9)
    assert "sad" not in AbstainingClassifier(weighed.estimator_, threshold=0).predict(X)


def test_a_pickle_answers_the_same(faces, pipeline):
    careful = AbstainingClassifier(pipeline, threshold=0.6)
    again = pickle.loads(pickle.dumps(careful))
    np.testing.assert_array_equal(again.predict(faces.images), careful.predict(faces.images))
