"""Damaged files: each is refused with its line and column."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from damaged_files import (
    DAYS,
    EXCEL,
    GOOD,
    HEADER,
    MIXED,
    PRICES,
    before,
    cell,
    dated,
    file,
    instead,
    last_column_is_low,
    line,
    moved,
    quoted_in_32nds,
    scaled,
)

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

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
    "cut_price": (last_column_is_low(1), 25, "Low", "cut short.*skip_footer"),
    "cut_price_at_the_point": (last_column_is_low(2), 25, "Low", "cut short"),
    "cut_price_before_the_point": (last_column_is_low(4), 25, "Low", "cut short"),
    "cut_price_of_thousands_at_the_point": (
        "Date;Open;High;Low\n"
        + "\n".join(f"2024-01-{at:02};4,531.662;4,551.250;4,504.118" for at in range(8, 13))[:-4],
        6,
        "Low",
        "cut short",
    ),
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
    "row_names_without_a_header": (
        file([f"{at},{row}" for at, row in enumerate(GOOD)]),
        2,
        None,
        "7 fields where.*set header and skip_lines",
    ),
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
