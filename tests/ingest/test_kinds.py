"""Kinds of files that were read wrongly once, without a word.

Each is read right, refused with a message that names what is wrong, or read with a warning that does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

HEADER = "Date,Open,High,Low,Close,Volume"


def weekdays(first: date, count: int) -> list[date]:
    days = [first + timedelta(days=at) for at in range(2 * count + 4)]
    return [day for day in days if day.weekday() < 5][:count]


def prices(at: int, scale: float = 1.0) -> tuple[float, float, float, float]:
    """A wandering open, high, low and close, no two days alike."""
    opened = scale * (100 + (at * 37 % 23) / 7 + at / 50)
    closed = opened * (1 + ((at * 17 % 11) - 5) / 1000)
    return opened, max(opened, closed) * 1.012, min(opened, closed) * 0.989, closed


def row(at: int, day: object, scale: float = 1.0, volume: object = None) -> str:
    cells = ",".join(f"{price:.2f}" for price in prices(at, scale))
    return f"{day},{cells},{600_000 + at * 7919 % 90_000 if volume is None else volume}"


DAYS = weekdays(date(2020, 1, 6), 90)
ROWS = [row(at, day) for at, day in enumerate(DAYS)]


def file(rows: Sequence[str] = ROWS, header: str = HEADER) -> str:
    return "\n".join([header, *rows]) + "\n"


def dated(form: Callable[[date], object], days: Sequence[date] = DAYS) -> str:
    return file([row(at, form(day)) for at, day in enumerate(days)])


def instants(zone: str, opens: str, days: Sequence[date], unit: int = 1, back: int = 0) -> str:
    """Rows stamped with the instant at which their session opens in a zone."""
    hour, minute = map(int, opens.split(":"))

    def stamp(day: date) -> int:
        opened = datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)) - timedelta(days=back)
        return int(opened.astimezone(UTC).timestamp()) * unit

    return dated(stamp, days).replace("Date", "timestamp", 1)


def changed(at: int, line: str) -> str:
    return file([*ROWS[:at], line, *ROWS[at + 1 :]])


def columns(name: str, value: Callable[[int], object]) -> str:
    return file([f"{line},{value(at)}" for at, line in enumerate(ROWS)], f"{HEADER},{name}")


def dotted(places: str, delimiter: str = ",", quote: str = '"') -> str:
    rows = [
        delimiter.join(f"{quote}{cell}{quote}" for cell in (f"{day:{places}}", *(f"{p / 25:.3f}" for p in prices(at))))
        for at, day in enumerate(DAYS[:60])
    ]
    return file(rows, delimiter.join(f"{quote}{name}{quote}" for name in ("Date", "Open", "High", "Low", "Close")))


SETTLED = file(
    [f"{day + timedelta(days=2)},{line}" for day, line in zip(DAYS, ROWS, strict=True)],
    f"Trade Date,{HEADER}",
)
YEAR = weekdays(date(2023, 1, 2), 250)
WEEK = [DAYS[0] + timedelta(days=at) for at in range(120)]

# name: its content, and what the message has to name
REFUSED: dict[str, tuple[str, str]] = {
    "tuesday_to_saturday": (dated(lambda day: day + timedelta(days=1)), "Saturday"),
    "wednesday_to_sunday": (dated(lambda day: day + timedelta(days=2)), "Sunday"),
    "a_day_late_from_some_day_on": (
        file([row(at, day + timedelta(days=at >= 45)) for at, day in enumerate(DAYS)]),
        "Saturday",
    ),
    "a_day_early_for_a_while": (
        file([row(at, day - timedelta(days=30 <= at < 55)) for at, day in enumerate(DAYS)]),
        "Sunday",
    ),
    "sydney_by_the_clock": (instants("Australia/Sydney", "10:00", YEAR), "zone"),
    "sydney_in_milliseconds": (instants("Australia/Sydney", "10:00", YEAR, 1000), "zone"),
    "wellington": (instants("Pacific/Auckland", "10:00", YEAR), "zone"),
    "london_by_the_clock": (instants("Europe/London", "08:00", YEAR), "zone"),
    "osaka_opens_the_evening_before": (instants("Asia/Tokyo", "16:30", YEAR, back=1), "07:30"),
    "chicago_opens_the_evening_before": (instants("America/Chicago", "17:00", YEAR, back=1), "session_opens"),
    "local_clock_of_the_evening_before": (dated(lambda day: f"{day - timedelta(days=1)} 18:00:00"), "session_opens"),
    "buddhist_years_of_two_digits": (dated(lambda day: f"{day:%d/%m}/{day.year - 1957:02d}"), "two digits"),
    "another_century": (dated(lambda day: f"{day.month}/{day.day}/{32 + day.year % 10}"), "century"),
    "minguo": (dated(lambda day: f"{day.year - 1911}/{day:%m/%d}"), "add_years"),
    "dots_of_decimals_or_thousands": (dotted("%d/%m/%Y"), "--decimal"),
    "dots_without_quotes": (dotted("%Y-%m-%d", quote=""), "--decimal"),
    "dots_by_semicolon": (dotted("%d.%m.%Y", ";", ""), "--decimal"),
    "two_opens": (file([f"{line},{100 + at}" for at, line in enumerate(ROWS)], f"{HEADER},First"), "First"),
    "two_dates": (SETTLED, "Trade Date"),
    "another_number_under_the_ticker": (columns("PERMNO", lambda at: 10001 if at < 40 else 90002), "PERMNO"),
    "another_isin": (columns("ISIN", lambda at: "US0000000001" if at < 70 else "US0000000002"), "ISIN"),
    "unit_changed_near_the_end": (
        file([row(at, day, 0.01 if at >= 70 else 1) for at, day in enumerate(DAYS)]),
        "change of unit",
    ),
    "dates_beyond_its_time": (dated(lambda day: day.replace(year=1412)), "1700"),
    "date_of_something_else": (file(header=HEADER.replace("Date", "Expiry Date")), "columns.date"),
    "one_field_more_than_the_header": (
        file([f"{day},{line.split(',', 1)[1]}" for day, line in zip(DAYS, ROWS, strict=True)], HEADER[5:]),
        "header",
    ),
    "many_rows_without_an_open": (
        file([re.sub(r",[\d.]+", ",", line, count=1) if at % 9 == 0 else line for at, line in enumerate(ROWS)]),
        "price is missing",
    ),
    "days_of_two_instruments": (
        file([f"{line},{who}" for line in ROWS for who in (1, 2)][: 2 * 90]).replace(",2\n", ",2\n"),
        "more than once|fields",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_kind_is_refused(name: str, tmp_path: Path) -> None:
    content, words = REFUSED[name]
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_prices(path)


FLAT = [f"{day},50,50,50,50,0" for day in DAYS[:30]]

# name: its content, the rows that are left, a part of the warning
WARNED: dict[str, tuple[str, int, str]] = {
    "row_repeated_whole": (changed(40, ROWS[39].replace(str(DAYS[39]), str(DAYS[40]))), 90, "line 42: the same prices"),
    "running_session": (changed(89, f"{DAYS[89]},103.50,103.52,103.49,103.51,4000"), 90, "line 91: the last row"),
    "placeholder_block": (file([*FLAT, *ROWS[30:]]), 90, "lines 2-31: one flat price"),
    "lone_row_of_twice_the_price": (changed(40, row(40, DAYS[40], 2.2)), 90, "line 42: Open is alone"),
    "lone_row_of_a_third": (changed(40, row(40, DAYS[40], 0.33)), 90, "line 42: Open is alone"),
    "inventory_called_stock": (columns("Stock", lambda at: 100_000 + 25 * at), 90, "column Stock"),
    "company_changes": (columns("COMNAM", lambda at: "SEARS" if at < 40 else "SPRINT"), 90, "column COMNAM, line 42"),
    "mistyped_last_month": (changed(89, row(89, "2020-09-09")), 90, "line 91: a hole of weeks"),
    "turnover_for_volume": (
        file(
            [f"{line.rsplit(',', 1)[0]},{50_000 + at * 991 % 7000},{(50_000 + at * 991 % 7000) * prices(at)[3]:.0f}"
             for at, line in enumerate(ROWS)],
            "Date,Open,High,Low,Close,Pieces,Volume",
        ),
        90,
        "turnover",
    ),
    "weekends_filled_in": (
        file([row(max(at - max(day.weekday() - 4, 0), 0), day) for at, day in enumerate(WEEK)]),
        86,
        "weekend rows",
    ),
    "footer_of_a_count": (file([*ROWS, "90 rows in all"]), 90, "line 92"),
    "rare_row_without_its_last_field": (file([*ROWS, *[row(at, day) for at, day in enumerate(
        weekdays(DAYS[-1] + timedelta(days=1), 60), 90)][:59], "2020-07-31,101.2,102.5,100.1,101.3"]), 149, "line 151"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_kind_is_read_with_a_warning(name: str, tmp_path: Path) -> None:
    content, rows, words = WARNED[name]
    path = tmp_path / "a.csv"
    path.write_text(content)
    read = read_prices(path)
    assert len(read.prices) == rows
    said = "\n".join(finding.message for finding in read.findings)
    assert words in said, said


# name: its content, and what is declared
READ: dict[str, tuple[str, dict[str, object]]] = {
    "milliseconds_then_microseconds": (
        file(
            [
                row(at, (day - date(1970, 1, 1)).days * 86400 * 10 ** (3 if at < 60 else 6))
                for at, day in enumerate(DAYS)
            ],
            HEADER.replace("Date", "open_time"),
        ),
        {},
    ),
    "new_york_by_the_clock": (instants("America/New_York", "09:30", DAYS), {}),
    "new_york_midnights": (instants("America/New_York", "00:00", DAYS, 1000), {}),
    "tokyo_mornings": (instants("Asia/Tokyo", "09:00", DAYS), {}),
    "sydney_declared": (instants("Australia/Sydney", "10:00", DAYS), {"zone": "Australia/Sydney"}),
    "london_declared": (instants("Europe/London", "08:00", DAYS), {"zone": "Europe/London"}),
    "osaka_declared": (
        instants("Asia/Tokyo", "16:30", DAYS, back=1),
        {"zone": "Asia/Tokyo", "session_opens": "16:30"},
    ),
    "zone_by_name": (dated(lambda day: f"{day:%Y%m%d} 00:00:00 Europe/Berlin"), {}),
    "units_under_the_header": (file([",USD,USD,USD,USD,shares", *ROWS]), {}),
    "units_in_brackets": (file(["(yyyy-mm-dd),($),($),($),($),(shares)", *ROWS]), {}),
    "types_under_the_header": (file(["date,float,float,float,float,int", *ROWS]), {}),
    "description_under_the_header": (file(["day,first price,highest,lowest,last price,pieces", *ROWS]), {}),
    # A date by another name is what many vendors have: it is read, and that it was found by its cells is said.
    "date_by_a_name_nobody_knows": (file(header=HEADER.replace("Date", "Dag der notering")), {}),
    "date_by_a_name_that_is_declared": (
        file(header=HEADER.replace("Date", "Dag der notering")),
        {"columns": {"date": "Dag der notering"}},
    ),
    "zone_in_brackets": (dated(lambda day: f"{day}T00:00:00-05:00[America/New_York]"), {}),
    "date_of_data": (file(header=HEADER.replace("Date", "Date of Data")), {}),
    "buddhist_declared": (
        dated(lambda day: f"{day:%d/%m}/{day.year - 1957:02d}"),
        {"date_order": "dmy", "add_years": 1957},
    ),
    "minguo_declared": (dated(lambda day: f"{day.year - 1911}/{day:%m/%d}"), {"date_order": "ymd", "add_years": 1911}),
    "no_header_declared": (file().split("\n", 1)[1], {"header": HEADER.split(",")}),
    "wrong_header_declared": (
        file(header="a,b,c,d,e,f"),
        {"columns": dict(zip(["date", "open", "high", "low", "close", "volume"], "abcdef", strict=True))},
    ),
    "open_declared": (
        file([f"{line},{100 + at}" for at, line in enumerate(ROWS)], f"{HEADER},First"),
        {"columns": {"open": "Open"}},
    ),
    "open_declared_by_another_name": (
        file([f"{line},{100 + at}" for at, line in enumerate(ROWS)], f"{HEADER.replace('Open', 'First')},Open"),
        {"columns": {"open": "First"}},
    ),
    "open_declared_without_its_brackets": (
        file([f"{line},{100 + at}" for at, line in enumerate(ROWS)], f"{HEADER.replace('Open', '<FIRST>')},<OPEN>"),
        {"columns": {"open": "FIRST"}},
    ),
    "other_date_ignored": (SETTLED, {"ignore": ["Trade Date"]}),
    "lines_around_declared": (
        "a title, of 5, words, 1, 2, 3\n" + file() + "1,2,3,4,5,6\n",
        {"skip_lines": 1, "skip_footer": 1},
    ),
    "pence_declared": (
        file([row(at, day, 100) for at, day in enumerate(DAYS)]),
        {"price_factor": 0.01},
    ),
    "week_declared": (file(), {"weekdays": ["Mon", "Tue", "Wed", "Thu", "Fri"]}),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_kind_is_read_right(name: str, tmp_path: Path) -> None:
    content, declared = READ[name]
    path = tmp_path / "a.csv"
    path.write_text(content)
    read = read_prices(path, format=declared)
    assert read.refused == ()
    assert [when.date() for when in read.prices["date"]] == DAYS
    assert read.prices["open"].tolist() == pytest.approx([round(prices(at)[0], 2) for at in range(90)], rel=1e-4)


def test_company_is_the_ticker_where_it_alone_separates_the_rows(tmp_path: Path) -> None:
    lines = [f"{row(at, day, scale)},{who}" for at, day in enumerate(DAYS) for who, scale in (("AAA", 1), ("B B", 3))]
    for name in ("Company", "Firma des Papiers"):
        (tmp_path / "a.csv").write_text(file(lines, f"{HEADER},{name}"))
        read = read_prices(tmp_path / "a.csv")
        assert read.prices.groupby("ticker").size().to_dict() == {"AAA": 90, "B B": 90}
        pd.testing.assert_series_equal(
            read.prices.query("ticker == 'AAA'")["open"], read_alone(tmp_path)["open"], check_index=False
        )


def read_alone(folder: Path) -> pd.DataFrame:
    (folder / "alone.csv").write_text(file())
    return read_prices(folder / "alone.csv").prices


def test_one_file_a_day_for_the_whole_exchange_is_one_table(tmp_path: Path) -> None:
    for at, day in enumerate(DAYS):
        lines = [
            f"{who},{row(at, day, scale)}" for who, scale in (("A", 1), ("B", 2), ("C", 3)) if (who, at) != ("C", 7)
        ]
        (tmp_path / f"{day}.csv").write_text(file([*lines, "Source: an exchange"], f"SYMBOL,{HEADER}"))
    bad = tmp_path / f"{DAYS[20]}.csv"
    bad.write_text(bad.read_text().replace("B,2020", "B,2020", 1).replace(f"{2 * round(prices(20)[0], 2):.2f}", "0", 1))
    read = read_prices(tmp_path)
    assert read.prices.groupby("ticker").size().to_dict() == {"A": 90, "C": 89}
    assert [(one.ticker, Path(str(one.error.file)).name, one.error.line) for one in read.refused] == [
        ("B", f"{DAYS[20]}.csv", 3)
    ]
    said = [one.message.partition(": ")[2] for one in read.findings]
    assert said == [
        f"line {line}: text after the last row was left out{more}"
        for line, more in ((5, " (and in 88 more files)"), (4, ""))
    ]
