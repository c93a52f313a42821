from __future__ import annotations

import cv2
import pytest
from web_for_tests import BrightnessReader


@pytest.fixture
def reader():
    return BrightnessReader()


@pytest.fixture
def encoded(astronaut):
    """A photo as the bytes of an image file of that ending."""
    bgr = cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR)
    return lambda ending: cv2.imencode(ending, bgr)[1].tobytes()
