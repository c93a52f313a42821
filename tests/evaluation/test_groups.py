import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score

from skfer.evaluation import group_report


def simulate_predictions(y, accuracy, rng):
    return np.where(rng.random(len(y)) < accuracy, y, "other")


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    y = rng.choice(["happy", "sad"], 1200)
    groups = rng.choice(["old", "young"], 1200)
    accuracy = np.where((groups == "old") & (y == "sad"), 0.6, 0.9)
    return y, simulate_predictions(y, accuracy, rng), groups


@pytest.fixture(scope="module")
def report(people):
    y, y_pred, groups = people
    return group_report(y, y_pred, groups=groups)


def class_gap(report, label):
    return report.gaps.set_index("class").loc[label]


def test_values_and_gaps(people, report):
    y, y_pred, groups = people
    table = report.groups.set_index(["group", "class"])
    for group in ("old", "young"):
        rows = groups == group
        assert table.loc[(group, "all"), "value"] == pytest.approx(
            accuracy_score(y[rows], y_pred[rows])
        )
        recalls = recall_score(
            y[rows], y_pred[rows], labels=["happy", "sad"], average=None, zero_division=0
        )
        assert table.loc[group].loc[["happy", "sad"], "value"].tolist() == pytest.approx(
            recalls.tolist()
        )
        assert table.loc[(group, "all"), "images"] == rows.sum()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    sad, happy = class_gap(report, "sad"), class_gap(report, "happy")
    assert sad["gap"] == pytest.approx(0.3, abs=0.08)
    assert 0.15 < sad["low"] < sad["gap"] < sad["high"] < 0.45
    assert (sad["lowest"], sad["highest"]) == ("old", "young")
    assert sad["p_value"] < 0.01
    assert happy["p_value"] > 0.05
    assert report.small == []


def test_gap_explained_by_the_share_of_classes():
    # Sad faces, difficult in both groups, are more frequent in one: this explains the gap.
    rng = np.random.default_rng(2)
    groups = np.repeat(["old", "young"], 1000)
    y = np.where(rng.random(2000) < np.where(groups == "old", 0.8, 0.2), "sad", "happy")
    y_pred = simulate_predictions(y, np.where(y == "sad", 0.5, 0.95), rng)
    gap = class_gap(group_report(y, y_pred, groups=groups), "all")
    assert gap["gap"] > 0.2
    assert gap["p_value"] > 0.05


@pytest.mark.slow
def test_p_values_without_a_gap_are_uniform():
    rng = np.random.default_rng(1)
    y = np.repeat(["happy", "sad"], 150)
    values = []
    for seed in range(60):
        y_pred, groups = simulate_predictions(y, 0.7, rng), rng.choice(["a", "b", "c"], 300)
        report = group_report(y, y_pred, groups=groups, n_bootstrap=100, random_state=seed)
        values.append(class_gap(report, "all")["p_value"])
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) < 0.1) < 0.25


def test_small_groups():
    y = np.array(["happy"] * 80 + ["sad"] * 5)
    groups = np.array(["a"] * 40 + ["b"] * 40 + ["c"] * 5)
    report = group_report(y, ["happy"] * 85, groups=groups, min_images=30)
    assert report.small == [("a", "sad"), ("b", "sad"), ("c", "all"), ("c", "happy"), ("c", "sad")]
    overall, sad = class_gap(report, "all"), class_gap(report, "sad")
    assert (overall["gap"], overall["compared"]) == (0, 2)
    assert np.isnan(sad["gap"])
    assert pd.isna(sad["lowest"])
    assert sad["compared"] == 0
    row = report.groups.set_index(["group", "class"]).loc[("c", "happy")]
    assert np.isnan(row["value"])
    assert row["images"] == 0


@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.96), (0.5, 0.6745)])
def test_wilson_interval(confidence, z):
    options = {"groups": [0] * 3 + [1] * 5, "min_images": 1, "confidence": confidence}
    row = group_report(["sad"] * 8, ["sad"] * 8, **options).groups.iloc[0]
    assert row["value"] == row["high"] == 1
    assert row["low"] == pytest.approx(3 / (3 + z**2), abs=1e-4)  # for 3 of 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["a", "a"]}, r"groups holds \['a'\] alone"),
        ({"groups": ["a"]}, "inconsistent numbers of samples"),
        ({"groups": np.array(["a", None], object)}, r"groups\[1\] is missing: 1 of 2"),
        ({"groups": ["a", np.nan]}, r"groups\[1\] is missing: 1 of 2"),
        ({"groups": ["a", "b"], "min_images": 0}, "min_images=0 must be"),
        ({"groups": ["a", "b"], "confidence": 1}, "confidence=1 must be"),
    ],
)
def test_invalid_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        group_report(["happy", "sad"], ["happy", "sad"], **options)
