"""Labels that are probably wrong."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from skfer import HOGDescriptor
from skfer.datasets import make_faces
from skfer.evaluation import cross_val_label_report, label_noise, label_report

# Two classes, sure and right, but for the last image: it is labelled "b" and looks like "a".
Y = ["a", "a", "b", "b", "b"]
PROBA = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]


def wrong_labels(labels, share, seed=0):
    """Some labels exchanged for others, and which."""
    rng = np.random.default_rng(seed)
    names = np.unique(labels)
    wrong = rng.random(len(labels)) < share
    steps = rng.integers(1, len(names), len(labels)) * wrong
    return names[(np.searchsorted(names, labels) + steps) % len(names)], wrong


@pytest.fixture(scope="module")
def faces():
    plain = {"noise": 0, "occlusion": 0, "brightness": 0, "pose": 0}
    names = ["happy", "neutral", "surprise"]
    return make_faces(300, classes=names, size=30, **plain, random_state=0)


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(HOGDescriptor(pixels_per_cell=7), LogisticRegression(C=0.1))


@pytest.fixture(scope="module")
def noisy(faces):
    return wrong_labels(faces.labels, 0.1)


@pytest.fixture(scope="module")
def report(faces, pipeline, noisy):
    return cross_val_label_report(pipeline, faces.images, noisy[0], cv=3)


def test_labels_that_were_exchanged_are_found(faces, noisy, report):
    _, wrong = noisy
    flagged = report[report["issue"]]
    assert wrong[flagged["row"]].mean() > 0.6  # one in ten by chance
    assert wrong[flagged["row"]].sum() > 0.6 * wrong.sum()
    assert wrong[report["row"][:10]].all()
    found = flagged[wrong[flagged["row"]]]
    assert (found["suggested"] == faces.labels[found["row"]]).mean() > 0.9


def test_every_image_has_a_row_and_the_most_doubtful_is_the_first(noisy, report):
    y, _ = noisy
    assert report["rank"].tolist() == list(range(1, 301))
    assert sorted(report["row"]) == list(range(300))
    assert report["issue"].is_monotonic_decreasing
    for _, part in report.groupby("issue"):
        assert part["margin"].is_monotonic_increasing
    assert (report["given"] == y[report["row"]]).all()
    assert ((report["given"] != report["suggested"]) == report["issue"]).all()


def test_cross_validation_is_that_of_scikit_learn(faces, pipeline, noisy, report):
    proba = cross_val_predict(
        pipeline, faces.images, noisy[0], cv=StratifiedKFold(3), method="predict_proba"
    )
    assert report.equals(label_report(noisy[0], proba))
    groups = np.arange(300) // 10
    grouped = cross_val_label_report(
        pipeline, faces.images, noisy[0], cv=GroupKFold(3), groups=groups
    )
    assert not grouped.equals(report)


def test_a_class_is_held_to_its_own_measure():
    # The model is never sure of "b"; 0.5 is much for it, and 0.6 is little for "a".
    y = ["a"] * 4 + ["b"] * 3
    b = [0.1, 0.1, 0.1, 0.55, 0.4, 0.4, 0.4]
    report = label_report(y, np.column_stack([1 - np.array(b), b]))
    assert report.loc[report["issue"], "row"].tolist() == [3]
    assert report["row"][0] == 3
    # By the most probable class alone, every "b" would be wrong.
    assert (report["margin"] < 0).sum() == 4


def test_no_flag_where_the_label_given_is_the_most_probable():
    # Not sure for an "a", and sure for a "b"; but still more of an "a".
    y = ["a"] * 3 + ["b"] * 3
    a = [0.95, 0.95, 0.55, 0.8, 0.6, 0.6]
    report = label_report(y, np.column_stack([a, 1 - np.array(a)]))
    assert 2 not in report.loc[report["issue"], "row"].tolist()


def test_columns_by_name():
    swapped = np.array(PROBA)[:, ::-1]
    assert label_report(Y, swapped, labels=["b", "a"]).equals(label_report(Y, PROBA))
    with pytest.raises(ValueError, match="y_proba has 2 columns, but labels names"):
        label_report(Y, PROBA, labels=["a", "b", "c"])
    with pytest.raises(ValueError, match="these are no probabilities"):
        label_report(Y, np.array(PROBA) * 3)


def test_labels_may_be_numbers():
    report = label_report([0, 0, 1, 1, 1], PROBA)
    assert report.loc[report["issue"], ["row", "given", "suggested"]].values.tolist() == [[4, 1, 0]]


def test_a_class_without_labels_is_never_suggested():
    proba = np.column_stack([np.array(PROBA) * 0.1, np.full(5, 0.9)])
    report = label_report(Y, proba, labels=["a", "b", "never given"])
    assert "never given" not in report["suggested"].tolist()


def test_noise_is_estimated_by_class(faces):
    y, wrong = wrong_labels(faces.labels, 0.2)
    names = np.unique(y)
    rng = np.random.default_rng(0)
    proba = 0.7 * np.eye(3)[np.searchsorted(names, faces.labels)] + 0.1
    proba += 0.01 * rng.random(proba.shape)
    noise = label_noise(y, proba / proba.sum(axis=1, keepdims=True))
    assert noise.to_numpy().sum() == pytest.approx(1)
    assert 1 - np.trace(noise) == pytest.approx(wrong.mean(), abs=0.03)
    np.testing.assert_allclose(noise.sum(axis=1), [np.mean(y == name) for name in noise.index])


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    for call in (label_report, label_noise):
        with pytest.raises(ImportError, match=r'pip install "skfer\[evaluation\]"'):
            call(Y, PROBA)
