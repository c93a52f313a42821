import copy

import _utils
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, ShuffleSplit

from skfer import FacialExpressionClassifier
from skfer.metrics import apply_temperature, fit_temperature


@pytest.fixture(scope="module")
def fitted(faces):
    return FacialExpressionClassifier(
        _utils.tiny_network, epochs=5, learning_rate=1e-2, random_state=0
    ).fit(faces.images[:40], faces.labels[:40])


@pytest.mark.parametrize("views", [None, "flip"])
def test_temperature_with_averaged_views(faces, fitted, views):
    fitted.set_params(test_time_augmentation=views, temperature=1.0)
    averaged, labels = fitted.predict_proba(faces.images), fitted.predict(faces.images)
    fitted.set_params(temperature=2.5)
    tempered = fitted.predict_proba(faces.images)
    powers = averaged ** (1 / 2.5)
    np.testing.assert_allclose(tempered, powers / powers.sum(axis=1, keepdims=True), rtol=1e-4)
    assert tempered.dtype == np.float32
    np.testing.assert_array_equal(fitted.predict(faces.images), labels)


@pytest.mark.slow
def test_fitted_temperature_in_a_search(faces, fitted):
    held_out, labels = faces.images[40:], faces.labels[40:]
    fitted.set_params(test_time_augmentation=None, temperature=1.0)
    proba = fitted.predict_proba(held_out)
    temperature = fit_temperature(labels, proba, labels=fitted.classes_)
    fitted.set_params(temperature=temperature)
    np.testing.assert_allclose(
        fitted.predict_proba(held_out), apply_temperature(proba, temperature), rtol=1e-5
    )
    classifier = FacialExpressionClassifier(_utils.tiny_network, epochs=1, random_state=0)
    search = GridSearchCV(
        classifier,
        {"temperature": [1.0, 4.0]},
        cv=ShuffleSplit(1, random_state=0),
        scoring="neg_log_loss",
        refit=False,
    )
    search.fit(faces.images, faces.labels)
    assert len(set(search.cv_results_["mean_test_score"])) == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_fit_resets_the_temperature(faces, fitted, method):
    loaded = copy.deepcopy(fitted).set_params(temperature=None, epochs=1)
    assert loaded.temperature_ == 1
    plain = loaded.predict_proba(faces.images)
    loaded.temperature_ = 0.5
    np.testing.assert_allclose(
        loaded.predict_proba(faces.images), apply_temperature(plain, 0.5), rtol=1e-5
    )
    getattr(loaded, method)(faces.images, faces.labels)
    assert loaded.temperature is None
    assert loaded.temperature_ == 1
    loaded.set_params(temperature=2.5).fit(faces.images, faces.labels)
    assert loaded.temperature == 2.5
