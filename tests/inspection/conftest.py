import pytest
from _utils import small_network

from skfer import FacialExpressionClassifier


@pytest.fixture(autouse=True)
def _draw_in_memory(figures_in_memory):
    pass


@pytest.fixture(scope="session")
def fitted(faces):
    """A small network fitted on `faces`."""
    classifier = FacialExpressionClassifier(small_network, epochs=2, random_state=0)
    return classifier.fit(faces.images, faces.labels)
