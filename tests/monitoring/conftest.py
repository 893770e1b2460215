"""Stores that hold published forecasts."""

from __future__ import annotations

import pytest

from forecasting.store.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")
