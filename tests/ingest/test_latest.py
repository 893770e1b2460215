"""Which date `latest` is: what the tickers share decides, and one that is alone ahead is doubted."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InputError
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import read_prices

STRAY = Path(__file__).resolve().parents[3] / "shared" / "real_files" / "s21_one_late_date_makes_all_others_stale"
END = date(2013, 3, 1)


def weekdays(last: date, count: int = 40) -> list[date]:
    days = [last - timedelta(days=back) for back in range(2 * count)]
    return [last, *(day for day in days[1:] if day.weekday() < 5)][:count][::-1]


def mistyped(last: date, count: int = 40) -> list[date]:
    return [*weekdays(END, count)[:-1], last]


def shared(*histories: list[date]) -> date:
    rows = [(f"T{at:02d}", pd.Timestamp(day)) for at, days in enumerate(histories) for day in days]
    return shared_day(pd.DataFrame(rows, columns=["ticker", "date"]).sort_values(["ticker", "date"]))


CURRENT, LATE = weekdays(END), mistyped(date(2013, 11, 29))
NEXT = weekdays(date(2013, 3, 4))
DEAD = weekdays(date(2008, 9, 12))


@pytest.mark.parametrize(
    ("histories", "day"),
    [
        ([CURRENT], END),
        ([LATE], date(2013, 11, 29)),
        ([CURRENT, LATE], END),
        ([LATE, CURRENT, CURRENT], END),
        ([LATE, mistyped(date(2013, 4, 1)), CURRENT], END),
        ([CURRENT, NEXT], END),
        ([CURRENT, NEXT, NEXT], NEXT[-1]),
        ([CURRENT, CURRENT, NEXT], END),
        ([DEAD, CURRENT], END),
        ([DEAD, weekdays(date(2001, 1, 5)), CURRENT], END),
        ([DEAD] * 17 + [CURRENT] * 2, END),
        ([weekdays(date(2013, 11, 29)), CURRENT, CURRENT], END),
        ([weekdays(date(2013, 11, 29))] * 2 + [CURRENT] * 98, END),
        ([weekdays(date(1990 + at, 3, 1)) for at in range(20)] + [DEAD], date(2009, 3, 1)),
    ],
)
def test_the_date_is_the_last_that_the_tickers_share(histories: list[list[date]], day: date) -> None:
    assert shared(*histories) == day


@given(st.integers(2, 30), st.integers(1, 2000), st.booleans())
def test_one_late_ticker_never_moves_the_date(tickers: int, days: int, whole: bool) -> None:
    last = END + timedelta(days=days)
    late = weekdays(last) if whole else mistyped(last)
    assert shared(*[CURRENT] * tickers, late) == END


def write(path: Path, days: list[date]) -> None:
    rows = [
        f"{day},{100 + at % 7},{102 + at % 7},{99 + at % 7},{101 + at % 7},{900 + at}" for at, day in enumerate(days)
    ]
    path.write_text("\n".join(["Date,Open,High,Low,Close,Volume", *rows]) + "\n")


def test_a_ticker_far_ahead_is_refused_and_the_others_are_read_to_their_last_date(tmp_path: Path) -> None:
    for name, days in (("good", CURRENT), ("ahead", NEXT), ("other", CURRENT), ("typo", LATE)):
        write(tmp_path / f"{name}.csv", days)

    read = read_prices(tmp_path, shared=True)

    assert set(read.prices["ticker"]) == {"good", "ahead", "other"}
    assert read.prices["date"].max().date() == END
    ((ticker, error),) = [(one.ticker, one.error) for one in read.refused]
    assert (ticker, error.line, error.column) == ("typo", 41, "Date")
    assert any("ahead.csv" in finding.message and finding.rows == 1 for finding in read.findings)
    named = read_prices(tmp_path, as_of=END, tickers=["good", "ahead", "other"])
    pd.testing.assert_frame_equal(read.prices, named.prices)


def test_tickers_that_agree_are_read_whole(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", CURRENT)
    write(tmp_path / "b.csv", CURRENT)
    cut, all_rows = read_prices(tmp_path, shared=True), read_prices(tmp_path)
    assert cut.findings == all_rows.findings == cut.refused
    pd.testing.assert_frame_equal(cut.prices, all_rows.prices)


def test_nothing_at_all_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Date,Open,High,Low\n")
    with pytest.raises(InputError):
        read_prices(tmp_path, shared=True)


@pytest.mark.skipif(not STRAY.exists(), reason="the shared files are not here")
def test_shared_folder_with_one_late_date() -> None:
    read = read_prices(STRAY, shared=True)
    assert (set(read.prices["ticker"]), read.prices["date"].max().date()) == ({"b0_clean"}, END)
    assert [one.ticker for one in read.refused] == ["one_late_typo"]
