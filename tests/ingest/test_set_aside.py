"""Files with something odd: each is read with a word on what was left out or looks wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from damaged_files import DAYS, GOOD, PRICES, before, cell, file, instead, line

from forecasting.ingest.prices import read_prices

# name: (content, rows that are left, parts of what is reported)
REPORTED: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "text_above": ("Prices of ABC\nin dollars\n" + file(), 24, ("lines 1-2",)),
    "text_below": (file([*GOOD, "Source: a vendor, all rights reserved"]), 24, ("line 26",)),
    "average_below": (file([*GOOD, "Average,101,104,98,102,1000"]), 24, ("line 26: text after",)),
    "extremes_below": (file([*GOOD, "Highest,,112,,,", "Lowest,,,95,,"]), 24, ("lines 26-27: text after",)),
    "row_of_nulls": (instead(5, f"{DAYS[5]},null,null,null,null,null"), 23, ("line 7: no prices",)),
    "row_of_nothing": (instead(5, f"{DAYS[5]},,,,,"), 23, ("line 7: no prices",)),
    "dividend_on_a_day": (before(5, f"{DAYS[5]},0.24 Dividend"), 24, ("line 7: no prices",)),
    "another_table_below": (file([*GOOD, "", "Totals of the month", "rows,24"]), 24, ("lines 27-28",)),
    "repeated_rows": (file([*GOOD, GOOD[3], GOOD[4]]), 24, ("lines 26-27",)),
    "file_twice": (file([*GOOD, *GOOD]), 24, ("lines 26-49",)),
    "shuffled": (file([GOOD[at * 7 % 24] for at in range(24)]), 24, ("out of order",)),
    "appended_late": (file([*GOOD[:9], *GOOD[10:], GOOD[9]]), 24, ("line 25: the dates are out of order",)),
    "cut_volume": (file(end="")[:-2], 24, ("line 25: the last line ends in",)),
    "weekly": (file([line(at, day=DAYS[0] + timedelta(days=7 * at)) for at in range(24)]), 24, ("daily rows",)),
    "saturday": (file([*GOOD, line(0, day="2024-01-20")]), 25, ("line 26: a weekend",)),
    "open_a_little_outside": (cell(5, 1, "104.00"), 24, ("line 7: Open is outside",)),
    "lone_jump": (file([*GOOD[:9], *[line(at, 0.1) for at in range(9, 24)]]), 24, ("line 11: Open changes",)),
    "two_settlements": (
        file([f"{row},5,6" for row in [r.rsplit(",", 2)[0] for r in GOOD]], "Date,Open,High,Low,Closing,Fechamento"),
        24,
        ("could both be Close",),
    ),
}


@pytest.mark.parametrize("name", REPORTED)
def test_read_with_a_word_on_it(name: str, tmp_path: Path) -> None:
    content, rows, parts = REPORTED[name]
    path = tmp_path / "a.csv"
    path.write_text(content)
    read = read_prices(path)
    assert len(read.prices) == rows
    reported = "\n".join(finding.message for finding in read.findings)
    assert all(part in reported for part in parts), reported


def test_tickers_side_by_side_are_distinguished_under_names_that_pandas_numbered(tmp_path: Path) -> None:
    rows = [f"{d},{','.join(f'{p},{2 * p}' for p in PRICES[at][:3])}" for at, d in enumerate(DAYS)]
    header = "Price,Open,Open.1,High,High.1,Low,Low.1\nTicker,AAA,BBB,AAA,BBB,AAA,BBB\nDate,,,,,,"
    (tmp_path / "wide.csv").write_text(file(rows, header))

    by_ticker = dict(iter(read_prices(tmp_path / "wide.csv").prices.groupby("ticker")))

    assert by_ticker["AAA"]["open"].tolist() == [prices[0] for prices in PRICES]
    assert by_ticker["BBB"]["open"].tolist() == [2 * prices[0] for prices in PRICES]


def test_tickers_side_by_side_are_distinguished(tmp_path: Path) -> None:
    rows = [f"{d},{','.join(f'{p},{2 * p if at > 3 else str()}' for p in PRICES[at][:3])}" for at, d in enumerate(DAYS)]
    header = "Price,Open,Open,High,High,Low,Low\nTicker,AAA,BBB,AAA,BBB,AAA,BBB\nDate,,,,,,"
    (tmp_path / "wide.csv").write_text(file(rows, header))

    read = read_prices(tmp_path / "wide.csv")

    by_ticker = dict(iter(read.prices.groupby("ticker")))
    assert by_ticker["AAA"]["open"].tolist() == [prices[0] for prices in PRICES]
    assert by_ticker["BBB"]["open"].tolist() == [2 * prices[0] for prices in PRICES[4:]]
    assert [finding.rows for finding in read.findings] == [4]
