import pytest
from _utils import small_network

from skfer import FacialExpressionClassifier
from skfer.datasets import make_faces


@pytest.fixture(autouse=True)
def _draw_in_memory(figures_in_memory):
    pass


@pytest.fixture(scope="session")
def faces():
    """70 drawn faces of three classes, 24 x 24 pixels."""
    return make_faces(70, classes=["happy", "sad", "surprise"], size=24, random_state=0)


@pytest.fixture(scope="session")
def fitted(faces):
    """A small network fitted on `faces`."""
    classifier = FacialExpressionClassifier(small_network, epochs=2, random_state=0)
    return classifier.fit(faces.images, faces.labels)
