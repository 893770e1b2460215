"""The names that a notebook imports: complete, cheap until used, the same from a frame as from a file."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pandas as pd
import pytest

import forecasting
from forecasting import ForecastConfig, InputError, forecast, prices_from_frame, read_prices

QUICK = ForecastConfig(epochs=1, members=1, horizon=2)


def test_every_public_name_can_be_imported():
    assert set(forecasting.__all__) == set(dir(forecasting))
    assert all(getattr(forecasting, name) is not None for name in forecasting.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = forecasting.nonsense


def test_importing_the_package_imports_no_library():
    code = "import forecasting, sys; print(*{'numpy', 'pandas', 'torch', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.fixture(scope="module")
def two_tickers(tmp_path_factory, price_file):
    return read_prices(price_file(tmp_path_factory.mktemp("prices") / "prices.csv", rows=200))


def test_a_frame_gives_the_forecasts_of_the_file(two_tickers):
    shuffled = two_tickers.prices.sample(frac=1, random_state=0)
    from_frame = forecast(prices_from_frame(shuffled), QUICK)
    from_file = forecast(two_tickers, QUICK)
    assert from_frame.as_of == from_file.as_of == date(2024, 6, 28)
    pd.testing.assert_frame_equal(from_frame.forecasts, from_file.forecasts)


def test_rows_after_the_as_of_date_are_not_used(two_tickers):
    as_of = date(2024, 5, 31)
    known = two_tickers.prices[two_tickers.prices["date"] <= "2024-05-31"]
    of_all, of_known = forecast(two_tickers, QUICK, as_of), forecast(prices_from_frame(known), QUICK)
    assert of_all.forecasts["cutoff"].unique().tolist() == [as_of]
    pd.testing.assert_frame_equal(of_all.forecasts, of_known.forecasts)


def test_a_frame_that_is_not_a_price_history_is_refused(two_tickers):
    with pytest.raises(InputError, match="close: is not a positive number"):
        prices_from_frame(two_tickers.prices.assign(close=-1.0))
