"""A shard of made tickers, evaluated once."""

from __future__ import annotations

import pandas as pd
import pytest
from evaluate_cases import evaluated_of, split_in_half


@pytest.fixture(scope="session")
def frames(make_prices):
    """A long ticker, one with a split among its test rows, and one that is too short for an LSTM."""
    return [make_prices("A", 260), split_in_half(make_prices("B", 200, seed=1), 180), make_prices("C", 60, seed=2)]


@pytest.fixture(scope="session")
def evaluated(frames):
    return evaluated_of(frames)


@pytest.fixture(scope="session")
def heldout(evaluated):
    return pd.concat([table.to_pandas() for table in evaluated.heldout.values()], ignore_index=True)
