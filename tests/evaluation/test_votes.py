"""What people who voted say of labels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skfer.evaluation import vote_agreement, votes_on_report

LABELS = ["happy", "sad", "unknown"]
VOTES = [[9, 1, 0], [2, 8, 0], [5, 5, 0], [0, 0, 0], [1, 3, 6]]
Y = ["happy", "happy", "sad", "sad", "sad"]


@pytest.fixture
def report():
    return pd.DataFrame(
        {
            "row": [1, 4, 3, 0, 2],
            "given": ["happy", "sad", "sad", "happy", "sad"],
            "suggested": ["sad", "happy", "happy", "happy", "sad"],
            "issue": [True, True, True, False, False],
        }
    )


def test_share_of_the_voters_who_gave_the_label():
    np.testing.assert_allclose(
        vote_agreement(Y, VOTES, labels=LABELS), [0.9, 0.2, 0.5, np.nan, 0.3]
    )
    shuffled = np.array(VOTES)[:, [2, 0, 1]]
    np.testing.assert_allclose(
        vote_agreement(Y, shuffled, labels=["unknown", "happy", "sad"]),
        vote_agreement(Y, VOTES, labels=LABELS),
    )


def test_flagged_beside_the_others(report):
    table = votes_on_report(report, VOTES, labels=LABELS)
    assert table["images"].tolist() == [2, 2, 4]  # nobody voted on row 3
    np.testing.assert_allclose(table["agreement"], [0.25, 0.7, 0.475])
    # A draw is no majority of something else.
    np.testing.assert_allclose(table["other_majority"], [1, 0, 0.5])
    np.testing.assert_allclose(table["suggested_agreement"], [0.45, 0.7, 0.575])


def test_a_part_of_the_report_is_a_report(report):
    table = votes_on_report(report[:1], VOTES, labels=LABELS)
    assert table["images"].tolist() == [1, 0, 1]
    assert table.loc["flagged", "agreement"] == 0.2
    assert np.isnan(table.loc["others", "agreement"])


def test_what_does_not_belong_together(report):
    with pytest.raises(ValueError, match="y holds 4 labels, but votes has 5 rows"):
        vote_agreement(Y[:4], VOTES, labels=LABELS)
    with pytest.raises(ValueError, match="votes has 3 columns, but labels names"):
        vote_agreement(Y, VOTES, labels=LABELS[:2])
    with pytest.raises(ValueError, match="the label 'sad', which is none of labels="):
        vote_agreement(Y, VOTES, labels=["happy", "angry", "unknown"])
    with pytest.raises(ValueError, match=r"votes\[1\] is \[-1.0, 8.0, 0.0\]"):
        vote_agreement(Y[:2], [[1, 0, 0], [-1, 8, 0]], labels=LABELS)
    with pytest.raises(ValueError, match="votes has 4 rows, but the report names row 4"):
        votes_on_report(report, VOTES[:4], labels=LABELS)
