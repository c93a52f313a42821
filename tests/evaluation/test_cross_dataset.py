import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.utils import Bunch

from skfer.datasets import make_faces
from skfer.evaluation import cross_dataset_matrix


class PixelClassifier(ClassifierMixin, BaseEstimator):
    def __init__(self, classes):
        self.classes = classes
        self.classes_ = np.array(classes)

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        pixels = np.asarray(X)[:, 0, : len(self.classes)].astype(float) + 1e-3
        return pixels / pixels.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def make_images(*probabilities):
    images = np.zeros((len(probabilities), 8, 8), np.uint8)
    for image, row in zip(images, probabilities, strict=True):
        image[0, : len(row)] = row
    return images


def accuracy_row(table, **where):
    rows = table[table["metric"] == "accuracy"]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    (row,) = rows.to_dict("records")
    return row


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    classes = ["angry", "happy", "sad"]
    y = rng.choice(classes, 400, p=[0.5, 0.3, 0.2])
    proba = rng.integers(0, 200, (400, 3))
    proba[np.arange(400), np.searchsorted(classes, y)] += 40
    return PixelClassifier(classes), make_images(*proba), y


def test_scores(samples):
    classifier, X, y = samples
    table = cross_dataset_matrix({"c": classifier}, {"d": (X, y)}).set_index("metric")
    y_pred = classifier.predict(X)
    expected = {
        "accuracy": accuracy_score(y, y_pred),
        "weighted_f1": f1_score(y, y_pred, average="weighted"),
        "balanced_accuracy": balanced_accuracy_score(y, y_pred),
    }
    assert table["value"].to_dict() == pytest.approx(expected)
    assert (table["low"] < table["value"]).all()
    assert (table["value"] < table["high"]).all()
    assert table["images"].tolist() == [400] * 3


def test_confidence_determines_the_interval(samples):
    classifier, X, y = samples
    arguments = {"c": classifier}, {"d": (X, y)}
    narrow, wide = (
        accuracy_row(cross_dataset_matrix(*arguments, confidence=confidence))
        for confidence in (0.5, 0.99)
    )
    assert wide["low"] < narrow["low"] < narrow["value"] < narrow["high"] < wide["high"]


@pytest.mark.slow
def test_interval_is_that_of_a_bootstrap(samples):
    classifier, X, y = samples
    y_pred = classifier.predict(X)
    table = cross_dataset_matrix({"c": classifier}, {"d": (X, y)}, n_bootstrap=4000)
    rng = np.random.default_rng(1)
    resamples = (rng.integers(0, 400, 400) for _ in range(500))
    scores = [balanced_accuracy_score(y[rows], y_pred[rows]) for rows in resamples]
    row = table[table["metric"] == "balanced_accuracy"].iloc[0]
    assert [row["low"], row["high"]] == pytest.approx(np.percentile(scores, [2.5, 97.5]), abs=0.012)


def test_labels_that_are_not_shared():
    four = PixelClassifier(["anger", "contempt", "happiness", "sadness"])
    X = make_images([9, 200, 8, 7], [9, 8, 100, 7], [0, 0, 0, 200], [100, 0, 0, 0])
    labels = ["angry", "happy", "fear", "sad"]
    table = cross_dataset_matrix({"four": four}, {"other": (X, labels)})
    row = accuracy_row(table)
    # "fear" is no class of the classifier, so its image is left out. "contempt" is no label of the
    # data set, so the next most probable label is used.
    assert (row["labels"], row["n_labels"]) == ("angry, happy, sad", 3)
    assert (row["images"], row["left_out"]) == (3, 1)
    assert row["value"] == pytest.approx(2 / 3)
    assert row["answers_outside"] == pytest.approx(1 / 3)
    strict = cross_dataset_matrix({"four": four}, {"other": (X, labels)}, outside="wrong")
    assert accuracy_row(strict)["value"] == pytest.approx(1 / 3)
    assert accuracy_row(strict)["answers_outside"] == pytest.approx(1 / 3)


def test_classifier_without_probabilities():
    class WithoutProbabilities(PixelClassifier):
        @property
        def predict_proba(self):
            raise AttributeError

        def predict(self, X):
            return np.array(["sad"] * len(X))

    datasets = {"d": (make_images([1, 0], [0, 1]), ["happy", "sad"])}
    classifier = WithoutProbabilities(["happy", "sad", "fear"])
    with pytest.raises(ValueError, match="outside='wrong'"):
        cross_dataset_matrix({"c": classifier}, datasets)
    table = cross_dataset_matrix({"c": classifier}, datasets, outside="wrong")
    assert accuracy_row(table)["value"] == 0.5


def test_probabilities_of_synonyms_are_added():
    classifier = PixelClassifier(["anger", "angry", "happy"])
    # Only the sum of the two synonyms is more probable than "happy".
    table = cross_dataset_matrix(
        {"c": classifier}, {"d": (make_images([60, 60, 80], [0, 0, 200]), ["angry", "happy"])}
    )
    assert accuracy_row(table)["value"] == 1


def test_each_estimator_on_each_data_set():
    estimators = {
        "five": PixelClassifier(["angry", "happy", "sad", "surprise", "neutral"]),
        "two": PixelClassifier(["happy", "sad"]),
    }
    faces = make_faces(14, random_state=0)
    datasets = {
        "bunch": Bunch(images=faces.images, labels=faces.labels),
        "list": (list(faces.images), faces.labels),
    }
    table = cross_dataset_matrix(estimators, datasets, n_bootstrap=50)
    assert len(table) == 2 * 2 * 3
    assert accuracy_row(table, estimator="five", dataset="bunch")["n_labels"] == 5
    assert accuracy_row(table, estimator="two", dataset="list")["labels"] == "happy, sad"
    table = table.drop(columns="dataset")
    pd.testing.assert_frame_equal(table[:6], table[6:].reset_index(drop=True))


def test_bootstrap_of_groups():
    # Each of ten people is always or never predicted correctly, so that images are not independent.
    correct = np.repeat(np.arange(10) % 2, 20)
    X = make_images(*[[100, 0] if row else [0, 100] for row in correct])
    classifier, y = PixelClassifier(["happy", "sad"]), np.array(["happy"] * 199 + ["sad"])
    people = np.repeat([f"S{number}" for number in range(10)], 20)
    by_image = cross_dataset_matrix({"c": classifier}, {"d": (X, y)})
    by_group = cross_dataset_matrix(
        {"c": classifier}, {"d": Bunch(images=X, labels=y, subjects=people)}
    )
    narrow, wide = accuracy_row(by_image), accuracy_row(by_group)
    assert (narrow["groups"], wide["groups"]) == (0, 10)
    assert narrow["value"] == wide["value"]
    assert wide["high"] - wide["low"] > 2.5 * (narrow["high"] - narrow["low"])
    one_person = cross_dataset_matrix({"c": classifier}, {"d": (X, y, ["S0"] * len(y))})
    pd.testing.assert_frame_equal(one_person, by_image)


def test_random_state_determines_the_intervals(samples):
    classifier, X, y = samples
    tables = [
        cross_dataset_matrix({"c": classifier}, {"d": (X, y)}, n_bootstrap=20, random_state=seed)
        for seed in (0, 0, 1)
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"datasets": {"d": (make_images([1]), [3])}}, r"share \[\], and at least 2 labels"),
        ({"datasets": {"d": [1, 2]}}, r"datasets\['d'\] must be \(X, y\)"),
        ({"datasets": {}}, "datasets must be a dict"),
        ({"datasets": {"d": (make_images([1]), ["sad", "happy"])}}, "inconsistent numbers"),
        ({"estimators": [PixelClassifier(["sad", "happy"])]}, "estimators must be a dict"),
        ({"estimators": {"e": object()}}, r"estimators\['e'\] has no classes_"),
        ({"outside": "ignore"}, "outside='ignore' must be 'restrict' or 'wrong'"),
        ({"n_bootstrap": 0}, "n_bootstrap=0 must be"),
        ({"confidence": 95}, "confidence=95 must be between 0 and 1"),
    ],
)
def test_invalid_arguments(options, message):
    arguments = {
        "estimators": {"e": PixelClassifier(["happy", "sad"])},
        "datasets": {"d": (make_images([1, 0], [0, 1]), ["happy", "sad"])},
    }
    with pytest.raises(ValueError, match=message):
        cross_dataset_matrix(**(arguments | options))
