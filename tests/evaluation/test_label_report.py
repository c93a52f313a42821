import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from skfer import HOGDescriptor
from skfer.datasets import make_faces
from skfer.evaluation import (
    cross_val_label_report,
    label_noise,
    label_report,
    vote_agreement,
    votes_on_report,
)

# The last image is labelled "b" and predicted as "a".
Y = ["a", "a", "b", "b", "b"]
PROBA = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]
LABELS = ["happy", "sad", "unknown"]
VOTES = [[9, 1, 0], [2, 8, 0], [5, 5, 0], [0, 0, 0], [1, 3, 6]]
VOTED = ["happy", "happy", "sad", "sad", "sad"]


def add_label_noise(labels, share, seed=0):
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
def noisy_labels(faces):
    return add_label_noise(faces.labels, 0.1)


@pytest.fixture(scope="module")
def report(faces, pipeline, noisy_labels):
    return cross_val_label_report(pipeline, faces.images, noisy_labels[0], cv=3)


@pytest.mark.slow
def test_flagged_labels(faces, noisy_labels, report, pipeline):
    _, wrong = noisy_labels
    flagged = report[report["issue"]]
    assert wrong[flagged["row"]].mean() > 0.6  # 0.1 by chance
    assert wrong[flagged["row"]].sum() > 0.6 * wrong.sum()
    assert wrong[report["row"][:10]].all()
    correct = flagged[wrong[flagged["row"]]]
    assert (correct["suggested"] == faces.labels[correct["row"]]).mean() > 0.9


@pytest.mark.slow
def test_folds_of_the_report(faces, noisy_labels, report, pipeline):
    proba = cross_val_predict(
        pipeline, faces.images, noisy_labels[0], cv=StratifiedKFold(3), method="predict_proba"
    )
    assert report.equals(label_report(noisy_labels[0], proba))
    groups = np.arange(300) // 10
    grouped = cross_val_label_report(
        pipeline, faces.images, noisy_labels[0], cv=GroupKFold(3), groups=groups
    )
    assert not grouped.equals(report)


def test_order_of_the_report(noisy_labels, report):
    y, _ = noisy_labels
    assert report["rank"].tolist() == list(range(1, 301))
    assert sorted(report["row"]) == list(range(300))
    assert report["issue"].is_monotonic_decreasing
    for _, part in report.groupby("issue"):
        assert part["margin"].is_monotonic_increasing
    assert (report["given"] == y[report["row"]]).all()
    assert ((report["given"] != report["suggested"]) == report["issue"]).all()


def test_thresholds_of_classes():
    # The classes have different thresholds: 0.5 is high for "b", and 0.6 is low for "a".
    y = ["a"] * 4 + ["b"] * 3
    b = [0.1, 0.1, 0.1, 0.55, 0.4, 0.4, 0.4]
    report = label_report(y, np.column_stack([1 - np.array(b), b]))
    assert report.loc[report["issue"], "row"].tolist() == [3]
    assert report["row"][0] == 3
    # The most probable class would flag every "b".
    assert (report["margin"] < 0).sum() == 4
    # Image 2 is below the threshold of "a" and above that of "b", but "a" is more probable.
    y = ["a"] * 3 + ["b"] * 3
    a = [0.95, 0.95, 0.55, 0.8, 0.6, 0.6]
    report = label_report(y, np.column_stack([a, 1 - np.array(a)]))
    assert 2 not in report.loc[report["issue"], "row"].tolist()


def test_class_without_images_is_not_suggested():
    proba = np.column_stack([np.array(PROBA) * 0.1, np.full(5, 0.9)])
    report = label_report(Y, proba, labels=["a", "b", "unused"])
    assert report["suggested"].tolist() == label_report(Y, PROBA)["suggested"].tolist()


def test_labels_that_are_numbers():
    report = label_report([0, 0, 1, 1, 1], PROBA)
    assert report.loc[report["issue"], ["row", "given", "suggested"]].values.tolist() == [[4, 1, 0]]


def test_order_of_columns():
    swapped = np.array(PROBA)[:, ::-1]
    assert label_report(Y, swapped, labels=["b", "a"]).equals(label_report(Y, PROBA))


@pytest.mark.parametrize(
    ("y", "proba", "labels", "message"),
    [
        (Y, PROBA, ["a", "b", "c"], "y_proba has 2 columns, but labels names"),
        (["a"], [[0.5, 0.5]] * 2, None, "^y holds 1 labels, but y_proba has 2 rows"),
        (Y, np.array(PROBA) * 3, None, "these are not probabilities"),
    ],
)
def test_invalid_probabilities(y, proba, labels, message):
    with pytest.raises(ValueError, match=message):
        label_report(y, proba, labels=labels)


def test_label_noise(faces):
    y, wrong = add_label_noise(faces.labels, 0.2)
    names = np.unique(y)
    rng = np.random.default_rng(0)
    proba = 0.7 * np.eye(3)[np.searchsorted(names, faces.labels)] + 0.1
    proba += 0.01 * rng.random(proba.shape)
    noise = label_noise(y, proba / proba.sum(axis=1, keepdims=True))
    assert noise.to_numpy().sum() == pytest.approx(1)
    assert 1 - np.trace(noise) == pytest.approx(wrong.mean(), abs=0.03)
    np.testing.assert_allclose(noise.sum(axis=1), [np.mean(y == name) for name in noise.index])


def test_label_noise_in_another_order_of_columns():
    noise = label_noise(Y, PROBA)
    swapped = label_noise(Y, np.array(PROBA)[:, ::-1], labels=["b", "a"])
    pd.testing.assert_frame_equal(swapped.loc[noise.index, noise.columns], noise)


@pytest.fixture
def voted_report():
    return pd.DataFrame(
        {
            "row": [1, 4, 3, 0, 2],
            "given": ["happy", "sad", "sad", "happy", "sad"],
            "suggested": ["sad", "happy", "happy", "happy", "sad"],
            "issue": [True, True, True, False, False],
        }
    )


def test_vote_agreement():
    expected = [0.9, 0.2, 0.5, np.nan, 0.3]
    np.testing.assert_allclose(vote_agreement(VOTED, VOTES, labels=LABELS), expected)
    shuffled = np.array(VOTES)[:, [2, 0, 1]]
    agreement = vote_agreement(VOTED, shuffled, labels=["unknown", "happy", "sad"])
    np.testing.assert_allclose(agreement, expected)


def test_votes_on_report(voted_report):
    table = votes_on_report(voted_report, VOTES, labels=LABELS)
    assert table["images"].tolist() == [2, 2, 4]  # row 3 has no votes
    np.testing.assert_allclose(table["agreement"], [0.25, 0.7, 0.475])
    # A tie is not a majority of another label.
    np.testing.assert_allclose(table["other_majority"], [1, 0, 0.5])
    np.testing.assert_allclose(table["suggested_agreement"], [0.45, 0.7, 0.575])


def test_votes_on_report_of_flagged_images_only(voted_report):
    table = votes_on_report(voted_report[:1], VOTES, labels=LABELS)
    assert table["images"].tolist() == [1, 0, 1]
    assert table.loc["flagged", "agreement"] == 0.2
    assert np.isnan(table.loc["others", "agreement"])


@pytest.mark.parametrize(
    ("y", "votes", "labels", "message"),
    [
        (VOTED[:4], VOTES, LABELS, "y holds 4 labels, but votes has 5 rows"),
        (VOTED, VOTES, LABELS[:2], "votes has 3 columns, but labels names"),
        (VOTED, VOTES, ["happy", "angry", "unknown"], "the label 'sad', which is none of labels="),
        (VOTED[:2], [[1, 0, 0], [-1, 8, 0]], LABELS, r"votes\[1\] is \[-1.0, 8.0, 0.0\]"),
    ],
)
def test_invalid_votes(y, votes, labels, message):
    with pytest.raises(ValueError, match=message):
        vote_agreement(y, votes, labels=labels)


def test_votes_of_fewer_images_than_the_report(voted_report):
    with pytest.raises(ValueError, match="votes has 4 rows, but the report names row 4"):
        votes_on_report(voted_report, VOTES[:4], labels=LABELS)
