"""Whether a classifier serves all groups alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, recall_score

from skfer.evaluation import group_report


def answers(y, right, rng):
    """The labels, of which so many are kept and the rest turned into something else."""
    return np.where(rng.random(len(y)) < right, y, "other")


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    y = rng.choice(["happy", "sad"], 1200)
    groups = rng.choice(["old", "young"], 1200)
    right = np.where((groups == "old") & (y == "sad"), 0.6, 0.9)
    return y, answers(y, right, rng), groups


@pytest.fixture(scope="module")
def report(people):
    y, said, groups = people
    return group_report(y, said, groups=groups)


def gap_of(report, label):
    return report.gaps.set_index("class").loc[label]


def test_values_are_those_of_scikit_learn(people, report):
    y, said, groups = people
    table = report.groups.set_index(["group", "class"])
    for group in ("old", "young"):
        chosen = groups == group
        assert table.loc[(group, "all"), "value"] == pytest.approx(
            accuracy_score(y[chosen], said[chosen])
        )
        recalls = recall_score(
            y[chosen], said[chosen], labels=["happy", "sad"], average=None, zero_division=0
        )
        assert table.loc[group].loc[["happy", "sad"], "value"].tolist() == pytest.approx(
            recalls.tolist()
        )
        assert table.loc[(group, "all"), "images"] == chosen.sum()
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_a_gap_that_is_there_is_found_and_one_that_is_not_is_not(report):
    sad, happy = gap_of(report, "sad"), gap_of(report, "happy")
    assert sad["gap"] == pytest.approx(0.3, abs=0.08)
    assert 0.15 < sad["low"] < sad["gap"] < sad["high"] < 0.45
    assert (sad["lowest"], sad["highest"]) == ("old", "young")
    assert sad["p_value"] < 0.01
    assert happy["p_value"] > 0.05
    assert report.small == []


def test_p_values_are_uniform_where_groups_are_drawn_by_lot():
    rng = np.random.default_rng(1)
    y = np.repeat(["happy", "sad"], 150)
    values = []
    for seed in range(60):
        said, groups = answers(y, 0.7, rng), rng.choice(["a", "b", "c"], 300)
        report = group_report(y, said, groups=groups, n_bootstrap=100, random_state=seed)
        values.append(gap_of(report, "all")["p_value"])
    assert 0.35 < np.mean(values) < 0.65
    assert np.mean(np.array(values) < 0.1) < 0.25


def test_a_difference_in_what_groups_show_is_no_gap_in_recall():
    # Sad faces are hard for all; the old show more of them. Accuracy differs, and by no more than
    # that explains.
    rng = np.random.default_rng(2)
    groups = np.repeat(["old", "young"], 1000)
    y = np.where(rng.random(2000) < np.where(groups == "old", 0.8, 0.2), "sad", "happy")
    said = answers(y, np.where(y == "sad", 0.5, 0.95), rng)
    gap = gap_of(group_report(y, said, groups=groups), "all")
    assert gap["gap"] > 0.2
    assert gap["p_value"] > 0.05


def test_small_groups_are_said_and_left_out_of_gaps():
    y = np.array(["happy"] * 80 + ["sad"] * 5)
    groups = np.array(["a"] * 40 + ["b"] * 40 + ["c"] * 5)
    report = group_report(y, ["happy"] * 85, groups=groups, min_images=30)
    assert report.small == [("a", "sad"), ("b", "sad"), ("c", "all"), ("c", "happy"), ("c", "sad")]
    everything, sad = gap_of(report, "all"), gap_of(report, "sad")
    assert (everything["gap"], everything["compared"]) == (0, 2)
    assert np.isnan(sad["gap"])
    assert pd.isna(sad["lowest"])
    assert sad["compared"] == 0
    none = report.groups.set_index(["group", "class"]).loc[("c", "happy")]
    assert np.isnan(none["value"])
    assert none["images"] == 0


def test_few_right_answers_are_no_certainty():
    report = group_report(["sad"] * 8, ["sad"] * 8, groups=[0] * 3 + [1] * 5, min_images=1)
    row = report.groups.iloc[0]
    assert row["value"] == row["high"] == 1
    assert row["low"] == pytest.approx(0.4385, abs=1e-4)  # Wilson's for 3 of 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": ["a", "a"]}, r"groups holds \['a'\] alone"),
        ({"groups": ["a"]}, "inconsistent numbers of samples"),
        ({"groups": np.array(["a", None], object)}, r"groups\[1\] is missing, and so are 0 more"),
        ({"groups": ["a", "b"], "min_images": 0}, "min_images=0 must be"),
        ({"groups": ["a", "b"], "confidence": 1}, "confidence=1 must be"),
    ],
)
def test_what_cannot_be_compared_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        group_report(["happy", "sad"], ["happy", "sad"], **options)
