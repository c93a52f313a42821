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
from sklearn.model_selection import GridSearchCV, cross_validate

from skfer import AbstainingClassifier, ConformalClassifier


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(200, centers=3, cluster_std=3, random_state=0)
    return X, np.array(["angry", "happy", "sad"])[y]


@pytest.fixture(scope="module")
def fitted(blobs):
    return LogisticRegression().fit(*blobs)


def test_abstention_below_the_threshold(blobs, fitted):
    X, y = blobs
    classifier = AbstainingClassifier(fitted, threshold=0.8)
    proba, y_pred = fitted.predict_proba(X), classifier.predict(X)
    sure = proba.max(axis=1) >= 0.8
    assert 0 < sure.sum() < len(X)
    assert (y_pred[~sure] == "unsure").all()
    np.testing.assert_array_equal(y_pred[sure], fitted.predict(X)[sure])
    np.testing.assert_array_equal(classifier.predict_proba(X), proba)
    assert classifier.classes_.tolist() == ["angry", "happy", "sad"]
    accuracy, coverage = classifier.selective_score(X, y)
    assert classifier.score(X, y) == pytest.approx(accuracy * coverage)
    assert classifier.score(X, y) < fitted.score(X, y) < accuracy
    classifier.set_params(abstention_label="unclear")
    assert "unclear" in classifier.predict(X)


def test_frozen_and_unfrozen_estimators(blobs, fitted):
    X, y = blobs
    classifier = AbstainingClassifier(FrozenEstimator(fitted)).fit(X, np.full(len(X), "other"))
    assert classifier.classes_.tolist() == ["angry", "happy", "sad"]
    np.testing.assert_array_equal(clone(classifier).predict(X), classifier.predict(X))
    part = y != "sad"
    classifier = AbstainingClassifier(fitted).fit(X[part], y[part])
    assert classifier.classes_.tolist() == ["angry", "happy"]
    assert fitted.classes_.tolist() == ["angry", "happy", "sad"]


def test_search_of_the_threshold(blobs, fitted):
    X, y = blobs
    search = GridSearchCV(
        AbstainingClassifier(FrozenEstimator(fitted)), {"threshold": [0.0, 0.9]}, cv=2
    ).fit(X, y)
    # Accuracy counts an abstention as an error.
    assert search.best_params_ == {"threshold": 0.0}


def test_sample_weight_is_routed(blobs):
    X, y = blobs
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=True)
        weighted = AbstainingClassifier(inner).fit(X, y, sample_weight=(y != "sad") + 1e-9)
    assert "sad" not in AbstainingClassifier(weighted.estimator_, threshold=0).predict(X)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (np.array(["a", "b", "c"]), "unsure"),  # longer than the classes
        (np.array(["a", "b", "c"], dtype=object), "unsure"),
        (np.array([3, 5, 7]), -1),
        (np.array([-1, 0, 1]), -2),
        (np.array([0.5, 1.5, 2.5]), -1.0),
    ],
)
def test_type_of_the_abstention_label(blobs, labels, expected):
    X, y = blobs
    y = labels[np.searchsorted(["angry", "happy", "sad"], y)]
    if labels.dtype.kind == "f":  # scikit-learn accepts only whole floats as labels
        y = np.floor(y)
    classifier = AbstainingClassifier(LogisticRegression(), threshold=0.8).fit(X, y)
    y_pred = classifier.predict(X)
    assert classifier.abstention_label_ == expected
    assert expected in y_pred
    assert y_pred.dtype.kind == y.dtype.kind
    assert confusion_matrix(y, y_pred).sum() == len(X)
    assert 0 < accuracy_score(y, y_pred) < 1
    assert len(np.unique(y_pred)) == 4
    assert pd.crosstab(pd.Series(y), pd.Series(y_pred)).shape == (3, 4)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (-1, "abstention_label=-1, but the classes are strings.*'unsure'"),
        ("happy", "abstention_label='happy' must not be NaN or one of the classes"),
    ],
)
def test_invalid_abstention_label(blobs, fitted, label, message):
    X, y = blobs
    classifier = AbstainingClassifier(fitted, abstention_label=label)
    with pytest.raises(ValueError, match=message):
        classifier.predict(X)
    classifier = AbstainingClassifier(LogisticRegression(), abstention_label=label)
    with pytest.raises(ValueError, match=message):
        classifier.fit(X, y)
    assert not hasattr(classifier, "estimator_")


def test_text_as_the_label_of_numeric_classes(blobs):
    X, y = blobs
    numbers = np.searchsorted(["angry", "happy", "sad"], y)
    with pytest.raises(ValueError, match=r"the classes are numbers.*-1"):
        AbstainingClassifier(LogisticRegression(), abstention_label="unsure").fit(X, numbers)


def test_unfitted_classifier(blobs):
    classifier = AbstainingClassifier(LogisticRegression())
    assert is_classifier(classifier)
    assert not hasattr(classifier, "classes_")
    with pytest.raises(NotFittedError, match="AbstainingClassifier instance is not fitted"):
        classifier.predict(blobs[0])


@pytest.mark.parametrize("threshold", [-0.1, 1.5, "high", None])
def test_invalid_threshold(blobs, fitted, threshold):
    X, y = blobs
    with pytest.raises(ValueError, match="'threshold' parameter of AbstainingClassifier"):
        AbstainingClassifier(LogisticRegression(), threshold=threshold).fit(X, y)
    with pytest.raises(ValueError, match="'threshold' parameter of AbstainingClassifier"):
        AbstainingClassifier(fitted, threshold=threshold).predict(X)


@pytest.mark.parametrize("wrapper", [AbstainingClassifier, ConformalClassifier])
def test_sample_weight_of_the_score_is_routed(blobs, wrapper):
    X, y = blobs
    weights = np.where(y == "sad", 9.0, 1.0)
    split = [(np.arange(0, len(y), 2), np.arange(1, len(y), 2))]
    with config_context(enable_metadata_routing=True):
        inner = LogisticRegression().set_fit_request(sample_weight=False)
        model = wrapper(inner).set_score_request(sample_weight=True)
        scores = cross_validate(
            model, X, y, cv=split, params={"sample_weight": weights}, return_estimator=True
        )
    (fitted,), test = scores["estimator"], split[0][1]
    expected = accuracy_score(y[test], fitted.predict(X[test]), sample_weight=weights[test])
    assert scores["test_score"].tolist() == [expected]
    assert expected != fitted.score(X[test], y[test])


@pytest.mark.parametrize("wrapper", [AbstainingClassifier, ConformalClassifier])
def test_fit_parameters_need_metadata_routing(blobs, wrapper):
    X, y = blobs
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        wrapper(LogisticRegression()).fit(X, y, sample_weight=np.ones(len(y)))
