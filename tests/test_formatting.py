"""Numbers and names as people read them."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.formatting import (
    MINUS,
    MISSING,
    decimals_for,
    format_date,
    format_number,
    p_value,
    percent,
    pluralize,
    printable,
    signed_percent,
)


@given(st.text(), st.integers(min_value=2, max_value=80))
def test_a_name_is_one_bounded_line_without_control_characters(text, limit):
    shown = printable(text, limit)
    assert shown.isprintable()
    assert len(shown) <= limit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("BRK.B", "BRK.B"),
        ("A\x1b[31m", "A\\x1b[31m"),
        ("A\0B\n", "A\\x00B\\n"),
        ("\u202eEVIL", "\\u202eEVIL"),
        (7, "7"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(text, shown):
    assert printable(text) == shown


def test_a_long_name_ends_in_an_ellipsis():
    assert printable("X" * 300, 10) == "X" * 9 + "…"


@given(st.floats(min_value=1e-8, max_value=1e8))
def test_a_price_keeps_at_least_three_digits(price):
    assert float(format_number(price, decimals_for(price)).replace(",", "")) == pytest.approx(price, rel=5e-3)


@pytest.mark.parametrize("write", [format_number, p_value, percent, signed_percent])
@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_no_number_is_a_dash(write, value):
    assert write(value) == MISSING


def test_how_numbers_are_written():
    assert format_number(-1234.5) == f"{MINUS}1,234.50"
    assert [p_value(0.04), p_value(1e-9), p_value(None)] == ["0.040", "<0.001", MISSING]
    assert percent(0.8041) == "80.4 %"
    assert signed_percent(0.0123) == "+1.23 %"
    assert signed_percent(-0.0123) == f"{MINUS}1.23 %"
    assert [pluralize(1, "ticker"), pluralize(2000, "ticker")] == [
        "1 ticker",
        "2,000 tickers",
    ]
    assert format_date(date(2013, 3, 1)) == "1 Mar 2013"
