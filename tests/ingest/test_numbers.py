"""Numbers in the notations of the world."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.ingest.numbers import decide, read_numbers, why_unread


def column(cells: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(cells, pa.string())])


def one(cell: str, decimal: str = "point") -> float | None:
    values, bad = read_numbers(column([cell]), decimal)
    return None if bad[0] else float(values[0])


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("139.60", 139.6), ("1,234.50", 1234.5), ("1,234", 1234.0), ("16,57,300", 1657300.0),
        ("16,57,300.25", 1657300.25),
        ("$1,234.5", 1234.5), ("1 234.50", 1234.5), ("1\u202f234.50", 1234.5), ("1'234.50", 1234.5), ("-$5", -5.0),
        ("$-5", -5.0), ("\u22125", -5.0), ("5.", 5.0), (".5", 0.5), ("1.5e3", 1500.0), ("Rs. 12.5", 12.5),
        ("12.5 zł", 12.5),
        ("¥3,204", 3204.0), ("+7", 7.0), ("1e400", math.inf), ("-inf", -math.inf),
    ],
)  # fmt: skip
def test_decimal_point(cell: str, value: float) -> None:
    assert one(cell) == value


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("27,3", 27.3),
        ("1.234,50", 1234.5),
        ("1.234.567", 1234567.0),
        ("1 234,50 €", 1234.5),
        ("1'234,5", 1234.5),
        ("12", 12.0),
    ],
)
def test_decimal_comma(cell: str, value: float) -> None:
    assert one(cell, "comma") == value


@pytest.mark.parametrize(
    ("cell", "decimal"),
    [
        ("27,3", "point"), ("1,2345", "point"), ("12,34.5", "point"), ("1.234.567", "point"), ("27.3", "comma"),
        ("1,234.50", "comma"), ("x", "point"), ("1_000", "point"), ("0x1F", "point"), ("=A1", "point"),
        ("5%", "point"),
        ("(5.00)", "point"), ("1-2", "point"), ("1 2", "point"), ("٣", "point"), ("$", "point"), ("e5", "point"),
        ("--5", "point"), ("1e", "point"), ("2024-01-02", "point"), ("#REF!", "point"), ("1.5M", "point"),
    ],
)  # fmt: skip
def test_what_is_not_a_number_is_none(cell: str, decimal: str) -> None:
    assert one(cell, decimal) is None


@pytest.mark.parametrize("cell", ["", "null", "NaN", "N/A", "#N/A", "-", "--", "None", ".", " n/a "])
def test_what_says_that_a_value_is_missing_is_missing(cell: str) -> None:
    assert math.isnan(one(cell) or 0.0)


@pytest.mark.parametrize(
    ("cell", "decimal", "value"),
    [
        ("157.78M", "point", 157.78e6), ("1.2B", "point", 1.2e9), ("950K", "point", 950e3),
        ("64,35M", "comma", 64.35e6),
        ("64,35 Mio.", "comma", 64.35e6), ("1084.2万手", "point", 10842000.0), ("1,657,300", "point", 1657300.0),
        ("3.5亿", "point", 3.5e8), ("12 lots", "point", None), ("919,3", "point", None), ("1.5X", "point", None),
    ],
)  # fmt: skip
def test_volumes(cell: str, decimal: str, value: float | None) -> None:
    values, bad = read_numbers(column([cell]), decimal, scaled=True)
    assert bad[0] == (value is None)
    if value is not None:
        assert values[0] == pytest.approx(value)


@pytest.mark.parametrize(
    ("prices", "others", "usual", "decimal"),
    [
        (["139.60", "1,234"], [], "", "point"),
        (["27,3", "27.300"], [], "", "comma"),
        (["1.234,50"], [], "", "comma"),
        (["1 234,50"], [], "", "comma"),
        (["1,234", "1,240"], ["49,315,300"], "", "point"),
        (["9.550", "9.500"], ["64,35M", "0,53%"], ".", "comma"),
        (["1,234", "1,240"], [], "", None),
        (["1,234", "1,240"], [], ".", None),
        (["1,234", "1,240"], [], ".,", "point"),
        (["987", "1,012"], [], "", "point"),
        (["987", "1.012"], [], "", "comma"),
        (["27.150", "27.200"], [], "", None),
        (["27.150", "27.200"], [], ".", None),
        (["27.150", "27.200"], ["619501"], ".", "point"),
        (["27.150", "27.25"], ["64,35M"], ".", "point"),
        (["27.150", "27.200"], ["64,35M", "0.53%"], ".", None),
        (["12", "13"], [], "", "point"),
        (["0.123", "0.456"], [], "", "point"),
        (["0,123", "0,456"], [], "", "comma"),
    ],
)
def test_decimal_mark_is_decided_for_the_file(
    prices: list[str], others: list[str], usual: str, decimal: str | None
) -> None:
    assert decide([column(prices)], [column(others)], usual=usual) == decimal


def test_cells_in_another_currency_are_found() -> None:
    assert read_numbers(column(["$1", "2", "$3", "€4"]), "point")[1].tolist() == [False, False, False, True]
    assert not read_numbers(column(["$1", "2"]), "point")[1].any()


@given(st.lists(st.text("0123456789.eE+-infa ,", max_size=8), max_size=3))
def test_reading_a_column_at_once_is_reading_it_cell_by_cell(cells: list[str]) -> None:
    values, bad = read_numbers(column(cells), "point")
    for cell, value, wrong in zip(cells, values, bad, strict=True):
        (alone, _), (alone_wrong, _) = read_numbers(column([cell, "x"]), "point")
        assert wrong == alone_wrong
        assert value == alone or (math.isnan(value) and math.isnan(alone))


@given(st.decimals(min_value=0, max_value=10**9, places=2))
def test_every_notation_of_a_price_is_that_price(price: object) -> None:
    us = f"{price:,.2f}"
    eu = us.replace(",", "_").replace(".", ",").replace("_", ".")
    assert one(us) == one(f"${us}") == one(us.replace(",", " ")) == one(eu, "comma") == float(f"{price:.2f}")


@pytest.mark.parametrize(
    ("cell", "decimal", "said"),
    [
        ("92,50", "point", "is not a number with a decimal point, as other rows are"),
        ("1.234,50", "point", "is not a number with a decimal point, as other rows are"),
        ("92.50", "comma", "is not a number with a decimal comma, as other rows are"),
        ("£92.50", "point", "is not a number in the currency of the other rows"),
        ("99-16", "point", "is not a number"),
    ],
)
def test_what_is_wrong_with_a_cell_is_said(cell: str, decimal: str, said: str) -> None:
    assert why_unread(cell, decimal) == said
