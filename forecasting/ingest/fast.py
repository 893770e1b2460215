"""Reading a plain file: comma-separated, nothing quoted, each price a number or nothing. Arrow reads it in one go.

What is read here is what :mod:`forecasting.ingest.careful` would read, row by row, or None: there is no third outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from forecasting.ingest.layout import Layout
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.shapes import read_stamp
from forecasting.ingest.table import FloatArray, IntArray, Source
from forecasting.ingest.text import Text

__all__ = ["Plain", "read_plain"]

_MISSING = ["", "null", "NULL", "nan", "NaN", "NA", "N/A", "None", "-"]
"""Of what says that there is no value, the spellings that Arrow need not be kept from."""


@dataclass(frozen=True, kw_only=True)
class Plain(Source):
    """A plain file's rows, with their prices."""

    prices: Mapping[Role, FloatArray]


def read_plain(text: Text, layout: Layout, ticker: str) -> Plain | None:
    """Read the rows at once; None when anything in them asks for a closer look."""
    if layout.delimiter != "," or text.quoted or len(layout.blocks) != 1 or not layout.plain_points:
        return None
    columns = layout.blocks[0].columns
    words = [layout.date] if layout.ticker is None else [layout.date, layout.ticker]
    kinds = {str(column): pa.dictionary(pa.int32(), pa.string()) for column in words}
    kinds |= {str(column): pa.float64() for column in columns.values()}
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(pa.py_buffer(text.data).slice(layout.start)),
            read_options=pa_csv.ReadOptions(column_names=[str(index) for index in range(len(layout.header))]),
            parse_options=pa_csv.ParseOptions(quote_char=False, escape_char=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=kinds, include_columns=list(kinds), null_values=_MISSING, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    prices = {role: table[str(columns[role])].to_numpy() for role in PRICES if role in columns}
    if not len(table):
        return None
    dates, date_codes = _distinct(table[str(layout.date)])
    if any(not text[:1].isdigit() and read_stamp(text) is None for text in dates):
        return None  # a footer, or a row that is none
    tickers, ticker_codes = [ticker], np.zeros(len(table), dtype=np.int64)
    if layout.ticker is not None:
        tickers, ticker_codes = _distinct(table[str(layout.ticker)])
    return Plain(
        tickers=tickers,
        ticker_codes=ticker_codes,
        dates=dates,
        date_codes=date_codes,
        lines=cache(lambda: text.line_numbers(layout.start)),
        prices=prices,
    )


def _distinct(column: pa.ChunkedArray) -> tuple[list[str], IntArray]:
    """Give the distinct texts of a column, without the blanks around them, and each row's index into them."""
    joined = column.unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in joined.chunks]).astype(np.int64)
    stripped = [text.strip() for text in joined.chunk(0).dictionary.to_pylist()]
    places: dict[str, int] = {}
    mapping = np.array([places.setdefault(text, len(places)) for text in stripped], dtype=np.int64)
    return list(places), codes if len(places) == len(stripped) else mapping[codes]
