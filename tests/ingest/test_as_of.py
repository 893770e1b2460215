"""Nothing after the as-of date has a say in what is read."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from price_lines import HEADER, lines, row, write

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

AS_OF = date.fromisoformat(row(19).split(",")[0])
GARBAGE = [
    "",
    "x",
    "-1",
    "0",
    "inf",
    "nan",
    "1e400",
    "99999999",
    '"',
    '"a',
    "=1",
    "\u00e9",
    "1;2",
    "27,3",
    "1,234",
    "null",
]


def test_rows_after_the_as_of_date_are_set_aside_and_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", lines(25))
    read = read_prices(path, as_of=AS_OF)
    assert len(read.prices) == 20
    assert [(one.kind, one.rows) for one in read.findings] == [("set_aside", 5)]


def test_no_rows_up_to_the_as_of_date_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows up to 2020-01-01"):
        read_prices(write(tmp_path / "a.csv", lines()), as_of=date(2020, 1, 1))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    later=st.lists(
        st.tuples(
            st.integers(1, 4000),
            st.lists(st.one_of(st.sampled_from(GARBAGE), st.floats(50, 200).map(str)), min_size=0, max_size=7),
        ),
        max_size=6,
    ),
    newest_first=st.booleans(),
    ticker=st.sampled_from(["", "A,", "B,"]),
)
def test_nothing_after_the_as_of_date_has_a_say(
    later: list[tuple[int, list[str]]], newest_first: bool, ticker: str, tmp_path: Path
) -> None:
    own = [ticker.replace("B", "A") + line for line in lines()]
    header = f"Ticker,{HEADER}" if ticker else HEADER
    before = read_prices(write(tmp_path / "a.csv", own, header), as_of=AS_OF)
    added = [",".join([f"{ticker}{AS_OF + timedelta(days=days)}", *cells]) for days, cells in later]
    rows = [*own, *added]

    after = read_prices(write(tmp_path / "a.csv", rows[::-1] if newest_first else rows, header), as_of=AS_OF)

    pd.testing.assert_frame_equal(after.prices, before.prices)
    assert after.refused == before.refused
