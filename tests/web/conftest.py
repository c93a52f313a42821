from __future__ import annotations

import pytest
from web_for_tests import BrightnessReader


@pytest.fixture
def reader():
    return BrightnessReader()
