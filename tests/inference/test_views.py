import numpy as np
import pytest
import tensorflow as tf

from skfer import FacialExpressionClassifier
from skfer._inference._keras import average_over_views
from skfer.datasets import make_faces


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 24, 24, 1), dtype=np.uint8)


def first_column(images):
    return tf.cast(images[:, :, 0, 0], tf.float32)


def test_averaged_views(images):
    averaged = average_over_views(first_column, "flip")(tf.constant(images))
    expected = (images[:, :, 0, 0].astype(float) + images[:, :, -1, 0]) / 2
    np.testing.assert_allclose(averaged, expected)
    function = average_over_views(lambda x: tf.cast(x[:, :, 3, 0], tf.float32) ** 2, "ten")
    np.testing.assert_allclose(
        function(tf.constant(images)), function(tf.constant(images[:, :, ::-1].copy())), rtol=1e-6
    )
    constant = average_over_views(lambda x: tf.ones((tf.shape(x)[0], 2)) * 0.5, "ten")
    np.testing.assert_allclose(constant(tf.constant(images)), 0.5)
    views = []
    average_over_views(lambda x: views.append(x) or first_column(x), "ten")(tf.constant(images))
    assert views[0].shape == (40, 24, 24, 1)


@pytest.mark.slow
@pytest.mark.parametrize("views", ["flip", "ten"])
def test_views_of_a_classifier(views, small_network):
    faces = make_faces(40, classes=["happy", "sad"], random_state=0)
    classifier = FacialExpressionClassifier(small_network, epochs=1, random_state=0)
    plain = classifier.fit(faces.images, faces.labels).predict_proba(faces.images)
    classifier.set_params(test_time_augmentation=views)
    averaged = classifier.predict_proba(faces.images)
    mirrored = classifier.predict_proba(faces.images[:, :, ::-1].copy())
    np.testing.assert_allclose(averaged, mirrored, atol=1e-5)
    assert not np.allclose(averaged, plain, atol=1e-4)
    np.testing.assert_allclose(averaged.sum(axis=1), 1, atol=1e-5)
