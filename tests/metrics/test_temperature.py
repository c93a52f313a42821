"""One temperature for all probabilities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from skfer.metrics import apply_temperature, fit_temperature

LABELS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def said():
    """Logits, and labels drawn with the probabilities that they stand for."""
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(4000, 3))
    draws = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    return logits, np.array(LABELS)[draws]


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1, 1.7, 10])
def test_probabilities_are_the_softmax_of_divided_logits(said, temperature):
    logits, _ = said
    np.testing.assert_allclose(
        apply_temperature(softmax(logits, axis=1), temperature),
        softmax(logits / temperature, axis=1),
        atol=1e-12,
    )


def test_float32_stays_float32_and_sums_to_1():
    proba = np.array([[1e-30, 1.0, 0.0]], dtype=np.float32)
    for temperature in (0.05, 1.0, 20.0):
        tempered = apply_temperature(proba, temperature)
        assert tempered.dtype == np.float32
        np.testing.assert_allclose(tempered.sum(axis=1), 1, rtol=1e-6)
        assert tempered[0, 2] == 0


@pytest.mark.parametrize("too_sure", [0.5, 1, 3])
def test_the_temperature_is_found_by_which_logits_were_too_large(said, too_sure):
    logits, labels = said
    proba = softmax(logits * too_sure, axis=1)
    temperature = fit_temperature(labels, proba, labels=LABELS)
    assert temperature == pytest.approx(too_sure, rel=0.05)
    # The least log loss there is, up to the fineness of the search.
    found = log_loss(labels, apply_temperature(proba, temperature))
    for factor in (0.97, 1.03):
        assert found <= log_loss(labels, apply_temperature(proba, temperature * factor)) + 1e-9
    assert found == pytest.approx(
        -log_softmax(logits * too_sure / temperature, axis=1)[
            np.arange(len(labels)), np.searchsorted(LABELS, labels)
        ].mean()
    )


def test_columns_in_another_order(said):
    logits, labels = said
    proba = softmax(logits, axis=1)
    assert fit_temperature(labels, proba[:, ::-1], labels=LABELS[::-1]) == pytest.approx(
        fit_temperature(labels, proba)
    )


def test_a_right_class_of_probability_0_costs_no_infinity():
    temperature = fit_temperature(["a", "b", "b"], [[1, 0], [1, 0], [0, 1]])
    assert 1 < temperature <= 20


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan])
def test_a_temperature_is_positive(temperature):
    with pytest.raises(ValueError, match=r"temperature=.* must be a number above 0"):
        apply_temperature([[0.5, 0.5]], temperature)


@pytest.mark.parametrize(
    ("y_true", "y_proba", "labels", "message"),
    [
        (["a"], [[0.5, 0.5]] * 2, ["a", "b"], "holds 1 labels, but y_proba has 2 rows"),
        (["a"], [[0.5, 0.5]], None, r"2 columns, but y_true holds \['a'\].*labels=classifier"),
        (["a"], [[0.5, 0.5]], ["a", "b", "c"], "2 columns, but labels names"),
        (["a"], [[0.5, 0.5]], ["a", "a"], "2 columns, but labels names"),
        (["c"], [[0.5, 0.5]], ["a", "b"], "label 'c', which is none of labels"),
        (["a"], [[3.0, -1.0]], ["a", "b"], r"y_proba\[0\] is \[3.0, -1.0\].*softmax"),
        (["a"], [[1.0]], ["a"], r"shape \(1, 1\): a column for each of 2 classes"),
    ],
)
def test_what_does_not_belong_together_is_refused(y_true, y_proba, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(y_true, y_proba, labels=labels)
