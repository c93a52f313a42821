"""Fixtures of the tests and the doctests."""

import math
import sys

import pytest


@pytest.fixture(autouse=True)
def silent_fits():
    """Keep fits from reporting their time, which depends on the machine."""
    # Not the fixture monkeypatch: other fixtures rely on its place in the order of teardowns.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skfer._training.LONG_FIT", math.inf)
        yield


@pytest.fixture(autouse=True)
def no_open_figures():
    """Close the figures of each test."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
