"""Whether history was restated, and from which row on."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.features.history import histories
from forecasting.store.fingerprints import describe_rows
from forecasting.store.fingerprints import first_change as first_change_of

COLUMNS = ["open", "high", "low", "close", "volume"]


def prices(rows=50, ticker="A", seed=0):
    values = np.random.default_rng(seed).uniform(90, 110, (rows, len(COLUMNS)))
    frame = pd.DataFrame(values, columns=COLUMNS)
    return frame.assign(ticker=ticker, date=pd.date_range("2020-01-01", periods=rows, unit="s"))


def sha256(frame):
    return describe_rows(frame.assign(ticker="A"))["A"].sha256


def first_change(known, frame):
    return first_change_of(known, *histories(frame))


def test_each_ticker_is_described_alone():
    both = describe_rows(pd.concat([prices(ticker="A"), prices(ticker="B", seed=1)]))
    assert list(both) == ["A", "B"]
    assert both["B"] == describe_rows(prices(ticker="B", seed=1))["B"]
    assert both["A"].rows == 50
    assert str(both["A"].last_date) == "2020-02-19"
    assert both["A"].sha256 == sha256(prices())


def test_it_depends_on_values_alone():
    frame = prices()
    same = frame[["volume", "date", "close", "low", "high", "open"]].set_axis(range(7, 57))
    assert sha256(same.astype({"date": "datetime64[ns]"})) == sha256(frame)
    zero, negative = frame.assign(volume=0.0), frame.assign(volume=-0.0)
    assert sha256(zero) == sha256(negative)
    other_nan = frame.assign(close=-np.float64("nan"))
    assert sha256(frame.assign(close=np.nan)) == sha256(other_nan)


def test_it_stays_what_it_is():
    """A manifest of today is read by later versions, so that this value can never change."""
    frame = prices(3).assign(open=[1.0, 2.0, 3.0], high=4.0, low=0.5, close=np.nan, volume=1e6)
    rows = [struct.pack("<q5d", 18262 + k, 1.0 + k, 4.0, 0.5, float("nan"), 1e6) for k in range(3)]
    sums = [zlib.crc32(b"".join(rows[: k + 1])) & 0xFFFF for k in range(3)]
    assert sha256(frame) == hashlib.sha256(b"".join(rows)).hexdigest()
    assert describe_rows(frame)["A"].trail == base64.b64encode(struct.pack("<3H", *sums)).decode()


@given(st.integers(0, 49), st.sampled_from(COLUMNS), st.integers(1, 10))
def test_the_first_changed_row_is_named(row, column, length):
    known = describe_rows(prices())["A"]
    restated = prices()
    restated.loc[row : row + length - 1, column] *= 1.0000001
    change = first_change(known, restated)
    assert change is not None
    assert change.row == row + 1
    assert change.date == prices()["date"][row].date()
    assert f"row {row + 1} " in change.message


@given(st.integers(0, 48))
def test_a_row_taken_out_is_named(row):
    known = describe_rows(prices())["A"]
    change = first_change(known, prices().drop(index=row))
    assert change is not None
    assert change.row == row + 1


def test_the_same_rows_are_the_same():
    assert first_change(describe_rows(prices())["A"], prices()) is None


def test_rows_missing_or_new_at_the_end_are_named():
    known = describe_rows(prices())["A"]
    fewer = first_change(known, prices(50).head(40))
    assert fewer is not None
    assert (fewer.row, fewer.date) == (41, None)
    assert "missing from row 41 on (there were 50)" in fewer.message
    more = pd.concat([prices(), prices(51).tail(1)])
    added = first_change(known, more)
    assert added is not None
    assert added.row == 51
    assert "is new" in added.message


def test_no_rows_at_all():
    assert describe_rows(prices(0)) == {}


@pytest.mark.slow
def test_it_is_cheap_for_a_large_panel():
    """Two bytes a row, however many."""
    described = describe_rows(prices(620_000))["A"]
    assert len(described.trail) < 620_000 * 2 * 4 / 3 + 4
