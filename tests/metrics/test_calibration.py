import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import norm
from sklearn.metrics import log_loss

from skfer.metrics import (
    apply_class_prior,
    apply_temperature,
    estimate_class_prior,
    expected_calibration_error,
    fit_temperature,
    reliability_curve,
)

LABELS = ["angry", "happy", "sad"]
TRAIN_PRIOR = np.array([0.6, 0.3, 0.1])
MEANS = np.array([0.0, 1.5, 3.0])


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=2, size=(4000, 3))
    draws = (softmax(logits, axis=1).cumsum(axis=1) < rng.random((4000, 1))).sum(axis=1)
    return logits, np.array(LABELS)[draws]


def test_reliability_curve_and_calibration_error():
    # Probabilities of at most 0.5 are in the first bin.
    proba = [[0.4, 0.3, 0.3], [0.5, 0.5, 0.0], [0.2, 0.8, 0.0], [0.0, 0.0, 1.0]]
    curve = reliability_curve([0, 1, 1, 1], proba, labels=[0, 1, 2], n_bins=2)
    np.testing.assert_allclose(curve.accuracy, [0.5, 0.5])
    np.testing.assert_allclose(curve.confidence, [0.45, 0.9])
    assert curve.counts.tolist() == [2, 2]
    error = expected_calibration_error([0, 1, 1, 1], proba, labels=[0, 1, 2], n_bins=2)
    assert error == pytest.approx(0.5 * 0.05 + 0.5 * 0.4)


def test_reliability_curve_omits_empty_bins():
    curve = reliability_curve(["a", "b"], [[0.95, 0.05], [0.45, 0.55]], n_bins=10)
    assert curve.counts.tolist() == [1, 1]
    assert np.isfinite(curve.accuracy).all()


def test_calibration_error_of_certain_and_calibrated_predictions():
    nine_in_ten = np.repeat([[0.9, 0.1]], 10, axis=0)
    assert expected_calibration_error([0] * 9 + [1], nine_in_ten) == pytest.approx(0, abs=1e-12)
    assert expected_calibration_error([0, 1], [[0.0, 1.0], [1.0, 0.0]]) == 1


@pytest.mark.parametrize("n_bins", [0, -1, 2.5, None])
def test_invalid_number_of_bins(n_bins):
    with pytest.raises(ValueError, match=r"n_bins=.* must be an int of at least 1"):
        expected_calibration_error(["a", "b"], [[0.5, 0.5]] * 2, n_bins=n_bins)


@pytest.mark.parametrize("temperature", [0.25, 0.5, 1, 1.7, 10])
def test_temperature_divides_logits(calibrated, temperature):
    logits, _ = calibrated
    tempered = apply_temperature(softmax(logits, axis=1), temperature)
    np.testing.assert_allclose(tempered, softmax(logits / temperature, axis=1), atol=1e-12)


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan])
def test_invalid_temperature(temperature):
    with pytest.raises(ValueError, match=r"temperature=.* must be a number above 0"):
        apply_temperature([[0.5, 0.5]], temperature)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_temperature_of_float32_with_zeros(temperature):
    proba = np.array([[1e-30, 1.0, 0.0]], dtype=np.float32)
    tempered = apply_temperature(proba, temperature)
    assert tempered.dtype == np.float32
    np.testing.assert_allclose(tempered.sum(axis=1), 1, rtol=1e-6)
    assert tempered[0, 2] == 0


@pytest.mark.parametrize("y_proba", [[0.5, 0.5], None, "happy"])
def test_probabilities_of_one_image_are_refused(y_proba):
    with pytest.raises(ValueError, match=r"y_proba has the shape .*For one image, give \[row\]"):
        apply_temperature(y_proba, 2.0)
    with pytest.raises(ValueError, match=r"y_proba has the shape .*For one image, give \[row\]"):
        apply_class_prior(y_proba, [0.5, 0.5], [0.2, 0.8])


@pytest.mark.parametrize("factor", [0.5, 1, 3])
def test_fitted_temperature(calibrated, factor):
    logits, labels = calibrated
    proba = softmax(logits * factor, axis=1)
    temperature = fit_temperature(labels, proba, labels=LABELS)
    assert temperature == pytest.approx(factor, rel=0.05)
    # The log loss is at its minimum, up to the tolerance of the search.
    minimum = log_loss(labels, apply_temperature(proba, temperature))
    for change in (0.97, 1.03):
        assert minimum <= log_loss(labels, apply_temperature(proba, temperature * change)) + 1e-9
    assert minimum == pytest.approx(
        -log_softmax(logits * factor / temperature, axis=1)[
            np.arange(len(labels)), np.searchsorted(LABELS, labels)
        ].mean()
    )


def test_fitted_temperature_in_another_order_of_columns(calibrated):
    logits, labels = calibrated
    proba = softmax(logits, axis=1)
    temperature = fit_temperature(labels, proba[:, ::-1], labels=LABELS[::-1])
    assert temperature == pytest.approx(fit_temperature(labels, proba))


def test_fitted_temperature_of_certain_predictions_is_finite():
    assert 1 < fit_temperature(["a", "b", "b"], [[1, 0], [1, 0], [0, 1]]) <= 20


@pytest.mark.parametrize(
    ("y_true", "y_proba", "labels", "message"),
    [
        (["a"], [[0.5, 0.5]] * 2, ["a", "b"], "holds 1 labels, but y_proba has 2 rows"),
        (["a"], [[0.5, 0.5]], None, r"2 columns, but y_true holds \['a'\].*labels=classifier"),
        (["a"], [[0.5, 0.5]], ["a", "b", "c"], "2 columns, but labels names"),
        (["a"], [[0.5, 0.5]], ["a", "a"], "2 columns, but labels names"),
        (["c"], [[0.5, 0.5]], ["a", "b"], "label 'c', which is none of labels"),
        (["a"], [[3.0, -1.0]], ["a", "b"], r"y_proba\[0\] is \[3.0, -1.0\].*softmax"),
        (["a"], ["a"], ["a", "b"], "y_proba holds text"),
        (["a"], [[1.0]], ["a"], r"shape \(1, 1\): at least 2 columns"),
    ],
)
def test_invalid_labels_and_probabilities(y_true, y_proba, labels, message):
    with pytest.raises(ValueError, match=message):
        fit_temperature(y_true, y_proba, labels=labels)


def posteriors(prior, n=20_000, seed=0):
    """Return labels sampled at a prior, their likelihoods and posteriors at the training prior."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=prior)
    likelihoods = norm.pdf(rng.normal(MEANS[codes])[:, None], MEANS)
    proba = likelihoods * TRAIN_PRIOR
    return codes, likelihoods, proba / proba.sum(axis=1, keepdims=True)


def test_class_prior_reweights_posteriors():
    prior = np.array([0.2, 0.2, 0.6])
    _, likelihoods, proba = posteriors(prior, n=100)
    expected = likelihoods * prior
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(apply_class_prior(proba, TRAIN_PRIOR, prior), expected)
    adapted = apply_class_prior([[1.0, 0.0]], [0.5, 0.5], [0.0, 1.0])
    assert adapted.tolist() == [[0.0, 1.0]]


def test_class_prior_of_training_changes_nothing():
    proba = posteriors(TRAIN_PRIOR, n=50)[2].astype(np.float32)
    adapted = apply_class_prior(proba, TRAIN_PRIOR, TRAIN_PRIOR)
    assert adapted.dtype == np.float32
    np.testing.assert_allclose(adapted, proba, rtol=1e-6)


def test_class_priors_may_be_counts():
    proba = posteriors(TRAIN_PRIOR, n=50)[2]
    np.testing.assert_allclose(
        apply_class_prior(proba, TRAIN_PRIOR * 500, [1, 1, 2]),
        apply_class_prior(proba, TRAIN_PRIOR, [0.25, 0.25, 0.5]),
    )


@pytest.mark.parametrize("prior", [[0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]])
def test_estimated_class_prior(prior):
    codes, _, proba = posteriors(prior)
    estimate = estimate_class_prior(proba, TRAIN_PRIOR)
    assert estimate.sum() == pytest.approx(1)
    np.testing.assert_allclose(estimate, np.bincount(codes) / len(codes), atol=0.02)


def test_one_iteration_of_estimated_class_prior():
    proba = posteriors([0.1, 0.2, 0.7], n=100)[2]
    first = estimate_class_prior(proba, TRAIN_PRIOR, max_iter=1)
    np.testing.assert_allclose(first, proba.mean(axis=0))
    second = estimate_class_prior(proba, TRAIN_PRIOR, max_iter=2)
    np.testing.assert_allclose(second, apply_class_prior(proba, TRAIN_PRIOR, first).mean(axis=0))
    np.testing.assert_array_equal(estimate_class_prior(proba, TRAIN_PRIOR, tol=1), first)


def test_invalid_arguments_of_estimated_class_prior():
    with pytest.raises(ValueError, match=r"y_proba\[0\]"):
        estimate_class_prior([[0.5, 0.7]], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"train_prior\[0\] is 0"):
        estimate_class_prior([[0.5, 0.5]], [0, 1])


@pytest.mark.parametrize(
    ("train_prior", "class_prior", "message"),
    [
        ([0.5, 0.5], [0.5, 0.5, 0.0], r"class_prior has the shape \(3,\)"),
        ([0.5, 0.3, 0.2], [0.5, 0.5], r"train_prior has the shape \(3,\)"),
        ([0.5, 0.5], [1.5, -0.5], r"class_prior\[1\] is -0.5"),
        ([0.5, 0.5], [0.5, np.nan], r"class_prior\[1\] is nan"),
        ([0.5, 0.5], [0, 0], "class_prior is 0 for every class"),
        ([1.0, 0.0], [0.5, 0.5], r"train_prior\[1\] is 0"),
    ],
)
def test_invalid_priors(train_prior, class_prior, message):
    with pytest.raises(ValueError, match=message):
        apply_class_prior([[0.5, 0.5]], train_prior, class_prior)
