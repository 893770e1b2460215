"""Dates: one format for a whole column, or a word on why not."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.ingest.dates import NO_DATE, UndecidedDatesError, read_dates
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.stamps import unknown_clock

EPOCH = date(1970, 1, 1)


def read(*texts: str, loose: bool = False, **declared: object) -> list[date | None]:
    format_ = PriceFormat.model_validate(declared)
    days = read_dates(texts, format_, loose=loose).days
    return [None if day == NO_DATE else EPOCH + timedelta(days=int(day)) for day in days]


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-31", "2024/01/31", "2024.01.31", "2024/1/31", "20240131", "20240131.0", "2024-01-31 00:00:00",
        "2024-01-31T00:00:00Z", "2024-01-31T00:00:00.000Z", "2024-01-31 00:00:00-05:00", "2024-01-31 00:00:00+05:30",
        "2024-01-31T16:00:00-0500", "2024-01-31 00:00:00 EST", "31/01/2024", "31.01.2024", "31-01-2024", "01/31/2024",
        "1/31/2024", "1/31/2024 16:00:00", "1/31/2024 4:00:00 PM", "31-Jan-2024", "31-JAN-24", "Jan 31, 2024",
        "January 31, 2024", "31 January 2024", "Wed, 31 Jan 2024", "Wed Jan 31 2024", "31. Januar 2024",
        "31 janv. 2024",
        "31 de jan. de 2024", "31 enero 2024", "31 stycznia 2024", "31 Oca 2024", "31 янв 2024",
        "2024年1月31日", "2024年01月31日",
        "2024년 1월 31일", "2024. 1. 31.", "2024- 01- 31", "2024/01/31(水)", "45322", "45322.00",
        "1706659200",
        "1706659200000", "1706659200000000000", "2024-Jan-31", "01/31/24",
    ],
)  # fmt: skip
def test_formats(text: str) -> None:
    assert read(text) == [date(2024, 1, 31)]


@pytest.mark.parametrize(
    "text",
    ["", "x", "16:00", "2024", "2024-13-01", "2024-02-30", "31/13/2024", "2204-01-01", "1402/10/11",
     "31/01/2567", "12.5",
     "2024-01", "Q1 2024", "Monday", "1,2,3", "2024-01-31 foo", "0", "-1", "1e9", "31 Foo 2024", "2024--01-31"],
)  # fmt: skip
def test_what_is_not_a_date(text: str) -> None:
    assert read(text) == [None]


def test_order_is_decided_by_the_column_not_the_cell() -> None:
    assert read("03-01-2017", "04-01-2017", "13-01-2017")[0] == date(2017, 1, 3)
    assert read("03-01-2017", "04-01-2017", "01-13-2017")[0] == date(2017, 3, 1)


def test_other_shapes_than_the_columns_are_not_dates() -> None:
    assert read("2022-11-30", "2022-11-29", "09-11-2022") == [date(2022, 11, 30), date(2022, 11, 29), None]
    assert read("2022-11-30", "2022-11-29", "2022/11/28")[2] is None


def test_undecidable_order_names_the_option() -> None:
    with pytest.raises(UndecidedDatesError) as caught:
        read("01/02/2024", "01/03/2024")
    assert caught.value.setting == "set --date-order dmy or mdy"
    assert read("01/02/2024", date_order="dmy") == [date(2024, 2, 1)]
    assert read("01/02/2024", date_order="mdy") == [date(2024, 1, 2)]


def test_dates_that_are_the_same_either_way_need_no_order() -> None:
    assert read("02/02/2024", "03/03/2024") == [date(2024, 2, 2), date(2024, 3, 3)]


def test_two_orders_in_one_column_are_refused() -> None:
    with pytest.raises(UndecidedDatesError, match="change places"):
        read("13/01/2024", "14/01/2024", "01/15/2024")


def test_two_digit_years_are_last_where_the_rows_are_then_a_run_of_days() -> None:
    assert read("20/12/21", "21/12/21", "22/12/21")[0] == date(2021, 12, 20)
    with pytest.raises(UndecidedDatesError):
        read("20/12/21", "20/12/22", "21/12/20")


def test_two_digit_years_first_are_of_an_era_that_has_to_be_declared() -> None:
    texts = ["21/12/20", "21/12/21", "21/12/22"]
    with pytest.raises(UndecidedDatesError) as caught:
        read(*texts)
    assert "date_order and add_years" in str(caught.value.setting)
    assert read(*texts, date_order="ymd")[0] == date(2021, 12, 20)
    assert read(*texts, date_order="ymd", add_years=1911)[0] == date(1932, 12, 20)


def test_six_digits_are_undecided_until_their_format_is_declared() -> None:
    with pytest.raises(UndecidedDatesError) as caught:
        read("240130", "240131", "240201")
    assert "date_format" in str(caught.value.setting)
    assert read("240130", "240201", date_format="%y%m%d") == [date(2024, 1, 30), date(2024, 2, 1)]


@pytest.mark.parametrize(
    ("texts", "declared", "day"),
    [
        (["99/01/04"], {"date_order": "ymd", "add_years": 1911}, date(2010, 1, 4)),
        (["113/01/05"], {"date_order": "ymd", "add_years": 1911}, date(2024, 1, 5)),
        (["02/01/63"], {"date_order": "dmy", "add_years": 1957}, date(2020, 1, 2)),
        (["02/01/2563"], {"date_order": "dmy", "add_years": -543}, date(2020, 1, 2)),
        (["1/2/30", "1/13/30"], {"add_years": 1900}, date(1930, 1, 2)),
        (["02.01.30"], {"date_format": "%d.%m.%y", "add_years": 1900}, date(1930, 1, 2)),
        (["43832"], {"date_format": "excel"}, date(2020, 1, 2)),
        (["1577923200"], {"epoch": "s"}, date(2020, 1, 2)),
        (["-7948800000", "-7862400000"], {}, date(1969, 10, 1)),
        (["1730419200000", "1730505600000", "1737072000000000"], {}, date(2024, 11, 1)),
        (["1730419200", "1730505600000", "1730592000000", "1730678400000"], {}, date(2024, 11, 1)),
        (["1607585400"], {"zone": "Asia/Tokyo", "session_opens": "16:30"}, date(2020, 12, 11)),
        (["1607671800"], {"zone": "Asia/Tokyo", "session_opens": "16:30"}, date(2020, 12, 14)),
        (["2023-03-12T23:00:00Z"], {"zone": "Australia/Sydney"}, date(2023, 3, 13)),
        (["2001-02-08T23:00:00Z"], {"zone": "America/Chicago", "session_opens": "17:00"}, date(2001, 2, 9)),
        (["20121217 00:00:00 US/Eastern"], {}, date(2012, 12, 17)),
    ],
)
def test_declared_formats_eras_and_zones(texts: list[str], declared: dict[str, object], day: date) -> None:
    assert read(*texts, **declared)[0] == day


@pytest.mark.parametrize(
    ("clocks", "known"),
    [
        (["13:30", "14:30"], True),
        (["04:00", "05:00"], True),
        (["00:00"], True),
        (["01:30"], True),
        (["23:59"], True),
        (["23:00", "00:00"], False),
        (["22:00"], False),
        (["07:30"], False),
        (["07:00", "08:00"], False),
        (["15:00"], False),
    ],
)
def test_date_of_an_instant_is_known_only_where_no_session_of_the_next_day_can_have_begun(
    clocks: list[str], known: bool
) -> None:
    texts = [f"2024-01-{8 + at:02d}T{clock}:00Z" for at, clock in enumerate(clocks)]
    column = read_dates(texts)
    assert (unknown_clock(column.clocks, texts, range(len(texts))) is None) == known


def test_zone_alone_does_not_settle_a_session_that_opens_the_evening_before() -> None:
    column = read_dates(["2001-02-08T23:00:00Z"], PriceFormat(zone="America/Chicago"))
    assert unknown_clock(column.clocks, ["2001-02-08T23:00:00Z"], [0]) is not None


def test_local_clocks_are_of_their_day_unless_they_are_late() -> None:
    for clock, known in (("09:30", True), ("16:00", True), ("17:00", False), ("22:00", False)):
        texts = [f"2024-01-08 {clock}:00"]
        assert (unknown_clock(read_dates(texts).clocks, texts, [0]) is None) == known


def test_serial_numbers_are_not_dates_in_a_column_that_does_not_say_so() -> None:
    assert read("42738", "42739", loose=True) == [None, None]
    assert read("42738", "42739") == [date(2017, 1, 3), date(2017, 1, 4)]


FORMATS = [
    "%Y-%m-%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d.%m.%Y",
    "%Y%m%d",
    "%d-%b-%Y",
    "%b %d, %Y",
    "%m/%d/%y",
    "%y/%m/%d",
]


@given(
    start=st.dates(date(1951, 1, 1), date(2049, 1, 1)),
    count=st.integers(1, 60),
    form=st.sampled_from(FORMATS),
    newest_first=st.booleans(),
)
def test_run_of_weekdays_is_read_right_or_undecided(start: date, count: int, form: str, newest_first: bool) -> None:
    days = [day for step in range(count) if (day := start + timedelta(days=step)).weekday() < 5]
    days = days[::-1] if newest_first else days
    try:
        found = read(*(day.strftime(form) for day in days))
    except UndecidedDatesError as error:
        undecided = error
    else:
        assert found == days
        return
    assert undecided.setting
