from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _every_figure(figures_in_memory):
    pass


@pytest.fixture
def no_matplotlib(monkeypatch):
    """An installation that lacks matplotlib."""
    for name in ("matplotlib", "matplotlib.pyplot"):
        monkeypatch.setitem(sys.modules, name, None)
