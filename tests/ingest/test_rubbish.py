"""Damaged files: each is refused with its line and column, or read with a word on what was left out."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

HEADER = "Date,Open,High,Low,Close,Volume"
DAYS = [date(2023, 12, 18) + timedelta(days=at + 2 * (at // 5)) for at in range(24)]  # weekdays, from a Monday on
PRICES = [(100 + at % 5 + 0.25, 103 + at % 5 + 0.5, 97 + at % 5 + 0.75, 101 + at % 5 + 0.25) for at in range(24)]


def line(at: int, scale: float = 1.0, day: object = None) -> str:
    cells = ",".join(f"{scale * price:.2f}" for price in PRICES[at])
    return f"{DAYS[at] if day is None else day},{cells},{1000 + at}"


GOOD = [line(at) for at in range(24)]


def file(rows: list[str] = GOOD, header: str = HEADER, end: str = "\n") -> str:
    return "\n".join([header, *rows]) + end


def instead(at: int, row: str) -> str:
    return file([*GOOD[:at], row, *GOOD[at + 1 :]])


def before(at: int, row: str) -> str:
    return file([*GOOD[:at], row, *GOOD[at:]])


def cell(at: int, column: int, value: str) -> str:
    cells = GOOD[at].split(",")
    cells[column] = value
    return instead(at, ",".join(cells))


def dated(form: str) -> list[str]:
    return [line(at, day=DAYS[at].strftime(form)) for at in range(24)]


def moved(days: int, clock: str = "") -> list[str]:
    return [line(at, day=f"{DAYS[at] + timedelta(days=days)}{clock}") for at in range(24)]


def last_column_is_low(cut: int) -> str:
    rows = [f"{DAYS[at]},{1000 + at},{PRICES[at][0]:.2f},{PRICES[at][1]:.2f},{PRICES[at][2]:.2f}" for at in range(24)]
    return file(rows, "Date,Volume,Open,High,Low", end="")[:-cut]


def scaled() -> str:
    """Prices brought to run from exactly 0 to exactly 1, as for a network's input; one zero among many rows."""
    rows = []
    for at in range(300):
        price = at if at < 250 else 250 + (at - 250) / 1000
        cells = (price + 0.5, min(price + 1.0, 250.5), price, price + 0.5)
        rows.append(f"{DAYS[0] + timedelta(days=at)},{','.join(f'{cell / 250.5:.9f}' for cell in cells)},{at}")
    return file(rows)


def quoted_in_32nds() -> str:
    rows = [
        f"{DAYS[at]},{','.join(f'{int(p)}{chr(39)}{int(p % 1 * 320):03d}' for p in PRICES[at])}" for at in range(24)
    ]
    return file(rows, "Date,Open,High,Low,Close")


MIXED = dated("%d/%m/%Y")[:12] + dated("%m/%d/%Y")[12:]
EXCEL = [line(at, day=f"{d:%d/%m/%Y}" if d.day > 12 else f"{d.month}/{d.day}/{d.year}") for at, d in enumerate(DAYS)]

# name: (content, line, column, a part of the message)
REFUSED: dict[str, tuple[str | bytes, int | None, str | None, str]] = {
    "plain_text_error": ("Exceeded the daily hits limit", 1, None, "no header"),
    "csv_of_an_error": ("Error Message,Invalid API call\n", 1, None, "no header"),
    "no_header": (file(GOOD[1:], GOOD[0]), 1, None, "no header"),
    "rows_quoted_whole": ("\n".join(f'"{row}"' for row in [HEADER, *GOOD]), 1, None, "no header"),
    "only_adjusted_prices": (
        file(GOOD, "Date,Adj Open,Adj High,Adj Low,Adj Close,Vol"),
        1,
        None,
        "columns missing: Open, High, Low",
    ),
    "only_adjusted_prices_in_camels": (
        file(GOOD, "date,adjOpen,adjHigh,adjLow,adjClose,v"),
        1,
        None,
        "columns missing: Open, High, Low",
    ),
    "close_only": (file(["2024-01-02,5"], "Date,Close"), 1, None, "columns missing: Open, High, Low"),
    "two_opens": (file([row + ",7" for row in GOOD], HEADER + ",Open"), 1, None, "could both be Open"),
    "two_dates": (file([f"{row},2024-01-02" for row in GOOD], HEADER + ",Date"), 1, None, "could both be Date"),
    "merge_conflict": (file([*GOOD[:3], "<<<<<<< HEAD", *GOOD[3:5], "=======", *GOOD[5:]]), 5, None, "merge"),
    "half_a_merge_conflict": (before(3, "======="), 5, None, "merge"),
    "cut_row": (file([*GOOD[:-1], "2024-01-18,10"], end=""), 25, None, "2 of 6 fields"),
    "cut_date": (file([*GOOD[:-1], "2024-0"], end=""), 25, None, "1 of 6 fields"),
    "cut_price": (last_column_is_low(1), 25, "Low", "cut short"),
    "cut_price_at_the_point": (last_column_is_low(2), 25, "Low", "cut short"),
    "cut_price_before_the_point": (last_column_is_low(4), 25, "Low", "cut short"),
    "cut_within_quotes": (
        file(['"' + row.replace(",", '","') + '"' for row in GOOD], end="")[:-2],
        25,
        None,
        "quotation",
    ),
    "cut_name": (file([f"{row},AAPL" for row in GOOD], HEADER + ",Name", end="")[:-1], 25, "Name", "cut short"),
    "header_again": (before(11, HEADER.lower()), 13, None, "the header again"),
    "another_header": (before(11, "Date,Close,High,Low,Open,Volume"), 13, None, "not a row of prices"),
    "error_below": (file([*GOOD, "Error: rate limit exceeded"]), 26, None, "not a row of prices"),
    "markup_below": (file([*GOOD, "</body>"]), 26, None, "not a row of prices"),
    "note_in_the_middle": (before(5, "# adjusted from here on"), 7, None, "not a row of prices"),
    "formula": (cell(5, 1, "=B6*2"), 7, "Open", "not a number"),
    "broken_reference": (cell(5, 1, "#REF!"), 7, "Open", "not a number"),
    "percent": (cell(5, 1, "101%"), 7, "Open", "not a number"),
    "infinite": (cell(5, 1, "inf"), 7, "Open", "not finite"),
    "beyond_a_double": (cell(5, 2, "1e400"), 7, "High", "not finite"),
    "nan_among_numbers": (cell(5, 3, "nan"), 7, "Low", "missing"),
    "hole": (cell(5, 1, ""), 7, "Open", "missing"),
    "zero": (cell(5, 1, "0"), 7, "Open", "not a price"),
    "zero_row": (instead(5, f"{DAYS[5]},0,0,0,102.25,0"), 7, "Open", "not a price"),
    "negative": (cell(5, 3, "-97.75"), 7, "Low", "not a price"),
    "standardised": (file([line(at, -0.01) for at in range(24)]), 2, "Open", "not a price"),
    "high_and_low_swapped": (instead(5, f"{DAYS[5]},100.25,97.75,103.50,101.25,1"), 7, "High", "below Low"),
    "high_and_low_headers_swapped": (file(GOOD, "Date,Open,Low,High,Close,Volume"), 2, None, "below Low"),
    "open_of_another_row": (cell(5, 1, "110.25"), 7, "Open", "outside"),
    "open_and_volume_headers_swapped": (file(GOOD, "Date,Volume,High,Low,Close,Open"), 2, "Open", "outside"),
    "row_in_cents": (instead(5, line(5, 100)), 7, "Open", "about 96.2 times"),
    "last_row_in_cents": (instead(23, line(23, 100)), 25, "Open", "about 1"),
    "rows_in_cents": (file([*GOOD[:9], *[line(at, 100) for at in range(9, 14)], *GOOD[14:]]), 11, "Open", "about 1"),
    "rows_in_thousands_from_some_day_on": (
        file([*GOOD[:9], *[line(at, 0.001) for at in range(9, 24)]]),
        11,
        "Open",
        "times smaller",
    ),
    "high_slipped": (cell(5, 2, "10350"), 7, "High", "10 times"),
    "low_slipped": (cell(5, 3, "0.9775"), 7, "Low", "10 times"),
    "short_row": (instead(5, GOOD[5].rsplit(",", 1)[0]), 7, None, "5 of 6 fields"),
    "long_row": (instead(5, GOOD[5] + ",9"), 7, None, "7 fields where"),
    "shifted_row": (instead(5, GOOD[5].replace(",", ",,", 1)), 7, None, "7 fields where"),
    "row_names_without_a_header": (file([f"{at},{row}" for at, row in enumerate(GOOD)]), 2, None, "7 fields where"),
    "decimal_commas_between_commas": (file([row.replace(".", ",") for row in GOOD]), 2, None, "10 fields where"),
    "other_decimal": (cell(5, 1, '"100,25"'), 7, "Open", "not a number"),
    "other_currency": (
        file([row.replace(",1", ",$1" if at < 20 else ",€1", 1) for at, row in enumerate(GOOD)]),
        22,
        "Open",
        "not a number",
    ),
    "open_quotation": (instead(5, '"' + GOOD[5]), 7, None, "quotation mark"),
    "other_format": (file(GOOD[:12] + dated("%d/%m/%Y")[12:]), 14, "Date", "another format"),
    "other_order": (file(MIXED), None, "Date", "change places"),
    "opened_in_excel": (file(EXCEL), None, "Date", "out of the order"),
    "clock_for_a_date": (instead(0, line(0, day="16:00")), 2, "Date", "not a date"),
    "no_dates": (file([line(at, day=at) for at in range(24)]), 2, "Date", "not a date"),
    "impossible_day": (instead(5, line(5, day="2023-02-30")), 7, "Date", "not a date"),
    "missing_date": (instead(5, line(5, day="")), 7, "Date", "missing"),
    "buddhist_years": (
        file([line(at, day=f"{d.day}/{d.month}/{d.year + 543}") for at, d in enumerate(DAYS)]),
        2,
        "Date",
        "not a date",
    ),
    "year_2204": (instead(5, line(5, day="2204-12-25")), 7, "Date", "not a date"),
    "year_2042": (instead(5, line(5, day="2042-12-25")), 7, "Date", "more than a year"),
    "last_year_2042": (instead(23, line(23, day="2042-01-18")), 25, "Date", "more than a year"),
    "year_2014": (instead(5, line(5, day="2014-12-25")), 7, "Date", "more than a year"),
    "next_year": (instead(23, line(23, day="2025-01-18")), 25, "Date", "more than a year"),
    "old_year_in_january": (instead(11, line(11, day="2023-01-02")), 13, "Date", "out of the order"),
    "month_mistyped": (instead(20, line(20, day="2023-10-15")), 22, "Date", "out of the order"),
    "conflicting_days": (file([*GOOD, line(5).replace(".25", ".26")]), 7, None, "more than once"),
    "intraday": (file([line(at, day=f"2024-01-02 {9 + at % 8}:00") for at in range(12)]), 2, None, "more than once"),
    "two_tickers_and_no_column": (file([*GOOD, *[line(at, 3) for at in range(24)]]), 2, None, "more than once"),
    "midnights_of_tokyo": (file(moved(-1, "T15:00:00Z")), 2, "Date", "15:00 UTC"),
    "serials_from_1904": (
        file([line(at, day=(d - date(1904, 1, 1)).days) for at, d in enumerate(DAYS)]),
        None,
        "Date",
        "1904",
    ),
    "year_0024": (instead(23, line(23, day="0024-01-18")), 25, "Date", "not a date"),
    "days_since_1970": (
        file([line(at, day=20000 + (d - DAYS[0]).days) for at, d in enumerate(DAYS)]),
        None,
        "Date",
        "1970",
    ),
    "day_of_the_year": (file([line(at, day=d.strftime("%y%j")) for at, d in enumerate(DAYS)]), None, "Date", "epoch"),
    "seconds_since_2001": (
        file(
            [line(at, day=(d - date(2001, 1, 1)).days * 86400) for at, d in enumerate(DAYS)],
            HEADER.replace("Date", "Timestamp"),
        ),
        None,
        "Timestamp",
        "epoch",
    ),
    "years_of_an_emperor": (
        file(
            [line(at, day=f"{d.year - 2018:02d}/{d.month:02d}/{d.day:02d}") for at, d in enumerate(DAYS)],
            "日付,始値,高値,安値,終値,出来高",
        ),
        None,
        "日付",
        "two digits",
    ),
    "scaled_to_one": (scaled(), 2, "Low", "scaled"),
    "bonds_in_32nds": (quoted_in_32nds(), 2, "Open", "not a number"),
    "pence_and_pounds": (
        file(
            [row.replace(",", " GBp,", 2).replace(" GBp", "", 1) for row in GOOD[:20]]
            + [row.replace(",", " GBP,", 2).replace(" GBP", "", 1) for row in GOOD[20:]]
        ),
        22,
        "Open",
        "not a number",
    ),
    "two_opens_told_apart_by_pandas": (file([row + ",7" for row in GOOD], HEADER + ",Open.1"), 1, None, "both be Open"),
    "two_currencies": (
        file(
            [row + row[10:] for row in GOOD], "Date,open_usd,high_usd,low_usd,close_usd,v,open_eur,high_eur,low_eur,c,w"
        ),
        1,
        None,
        "could both be Open",
    ),
    "cut_before_the_currency": (
        file(
            [f"{DAYS[at]};{';'.join(f'{p:.2f} kr.'.replace('.', ',', 1) for p in PRICES[at])}" for at in range(24)],
            "Dato;Åbning;Højeste;Laveste;Lukning",
            end="",
        )[:-6],
        25,
        "Lukning",
        "cut short",
    ),
    "cut_dividend": (file([*GOOD, "2024-01-19,0.24 Divid"], end=""), 26, None, "2 of 6 fields"),
    "dividend_for_an_open": (cell(5, 1, "0.24 Dividend"), 7, "Open", "not a number"),
    "dates_below_the_footer": (file([*GOOD, "Dividends", "2024-01-19,0.24"]), 26, None, "not a row of prices"),
    "letters_of_no_encoding": (
        file().encode()[:90] + b"\xff\xfe\xfa" + file().encode()[90:],
        3,
        "Open",
        "not a number",
    ),
    "nothing_but_nulls": (file([f"{day},null,null,null,null,null" for day in DAYS]), 2, "Open", "no row has prices"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_its_place(name: str, tmp_path: Path) -> None:
    content, at_line, column, part = REFUSED[name]
    path = tmp_path / "a.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=part) as caught:
        read_prices(path)
    assert str(caught.value).startswith(str(path))
    if at_line is not None:
        assert caught.value.line == at_line, str(caught.value)
    if column is not None:
        assert caught.value.column == column, str(caught.value)


# name: (content, rows that are left, parts of what is told)
REPORTED: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "text_above": ("Prices of ABC\nin dollars\n" + file(), 24, ("lines 1-2",)),
    "text_below": (file([*GOOD, "Source: a vendor, all rights reserved"]), 24, ("line 26",)),
    "average_below": (file([*GOOD, "Average,101,104,98,102,1000"]), 24, ("line 26: text after",)),
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
