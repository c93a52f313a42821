"""Fixtures of the tests and the doctests."""

import math

import pytest


@pytest.fixture(autouse=True)
def silent_fits(monkeypatch):
    """Keep fits from reporting their time, which depends on the machine."""
    monkeypatch.setattr("skfer._training._callbacks._LONG_FIT", math.inf)
