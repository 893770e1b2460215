"""What unread columns reveal about the rows' instrument: two instruments under one ticker, for example."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forecasting.arrays import IntArray
from forecasting.ingest.names import normalise
from forecasting.ingest.rows import FileRows
from forecasting.ingest.table import Table, Verdict

__all__ = ["misplaced_ticker", "report_instruments", "separating_column", "without_turnover"]

_IDENTIFIER = re.compile("perm(no|co)|isin|n?cusip|sedol|figi|gvkey|conid|wkn|valor|(instrument|security)(id)?")
_CALENDAR = re.compile("(fiscal)?year|month|quarter|week|(week)?day|season|yearmonth|dayofweek|fy")
_FEWEST, _MOST = 5, 20
"""Where a column changes in blocks: the fewest rows of a block, and the most blocks of a ticker."""
_AGREE = 0.9


def misplaced_ticker(codes: IntArray, days: IntArray) -> bool:
    """Whether a ticker column has another value in nearly every row, each on its own day: then it is not a ticker."""
    count = len(codes)
    return count >= _FEWEST and len(np.unique(codes)) > _AGREE * count and len(np.unique(days)) > count / 2


def separating_column(rows: FileRows, unread: Sequence[int], kept: IntArray, days: IntArray) -> int | None:
    """Find the column of words (the first of those that say the same) under which each day has one row of each."""
    if len(np.unique(days)) == len(days):
        return None
    found: dict[int, IntArray] = {}
    for column in unread:
        texts, codes = rows.distinct(column)
        counts = np.bincount(codes[kept])
        counts = counts[counts > 0]
        if not 2 <= len(counts) <= len(days) / 2 or counts.min() < 2 or not _is_words(texts):
            continue
        if _pairs(codes[kept], days) == len(days):
            found[column] = codes[kept]
    first, *others = found or {-1: days}
    same = all(_pairs(found[first], found[other]) == len(np.unique(found[other])) for other in others)
    return first if found and same else None


def report_instruments(verdict: Verdict, rows: FileRows, unread: Sequence[int]) -> None:
    """Refuse tickers under which an unread column shows two instruments."""
    for column in unread:
        table = verdict.table
        texts, codes = rows.distinct(column)
        if len(texts) < 2:
            continue
        own, name = codes[table.places], rows.layout.name(column)
        again = table.same & (np.diff(table.days) == 0)
        if again.any() and (np.diff(own)[again] != 0).all() and len(texts) <= len(own) / 2:
            what = f"a day has several rows, which column {name} distinguishes: it names the instrument"
            setting = f'set ticker = "{name}" under [columns] in a format file'
            verdict.refuse(np.append(False, again), what, name, setting)
            continue
        word = normalise(name).replace(" ", "")
        named = _IDENTIFIER.fullmatch(word) is not None
        if len(texts) > _MOST * len(table.tickers) or _CALENDAR.fullmatch(word) or not (named or _is_words(texts)):
            continue
        said = _changes(table, own, texts)
        marks = np.isin(np.arange(len(table)), list(said))
        if named:
            setting = f'set ticker = "{name}" under [columns], or ignore = ["{name}"], in a format file'
            verdict.refuse(marks, said.__getitem__, name, setting)
        else:
            verdict.warn(marks, said.__getitem__, name)


def _changes(table: Table, own: IntArray, texts: pa.Array) -> dict[int, str]:
    """Find where a column changes from one lasting value to another within a ticker: a message for each such row."""
    said = {}
    changed = np.concatenate([[False], table.same & (own[1:] != own[:-1])])
    for rows in table.histories(changed):
        starts = rows.start + np.flatnonzero(changed[rows])
        lengths = np.diff([rows.start, *starts, rows.stop])
        if len(starts) < _MOST and lengths.min() >= _FEWEST and len(np.unique(own[rows])) == len(starts) + 1:
            at = int(starts[0])
            said[at] = f'changes from "{texts[own[at - 1]]}" to "{texts[own[at]]}": two instruments under one ticker?'
    return said


def without_turnover(verdict: Verdict, rows: FileRows, unread: Sequence[int]) -> None:
    """Take the volume as missing where it is an amount of money: another column times the price."""
    volume, low, high = (verdict.prices[role] for role in ("volume", "low", "high"))
    traded = volume > 0
    if np.count_nonzero(traded) < _FEWEST:
        return
    for column in unread:
        try:
            shares = rows.cells(column, verdict.table.places).cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        known = traded & (shares > 0)
        price = np.divide(volume, shares, out=np.full(len(volume), np.nan), where=known)
        fits = known & (price >= low * _AGREE) & (price <= high / _AGREE)
        if fits.sum() >= max(_FEWEST, _AGREE * traded.sum()) and np.median(np.abs(price[fits] - 1)) > 1 - _AGREE:
            what = f"column {verdict.table.names['volume']} is a turnover, column {rows.layout.name(column)} times the"
            verdict.report.add("warning", f"{what} price; the volume is taken as missing")
            prices = {**verdict.prices, "volume": np.full(len(volume), np.nan)}
            verdict.table = replace(verdict.table, prices=prices)
            return


def _pairs(one: IntArray, other: IntArray) -> int:
    """Count the distinct pairs of two columns."""
    return len(set(zip(one.tolist(), other.tolist(), strict=True)))


def _is_words(texts: pa.Array) -> bool:
    """Whether texts are names: each has letters."""
    filled = pc.filter(texts, pc.not_equal(texts, ""))
    return len(filled) > 0 and bool(pc.all(pc.match_substring_regex(filled, r"\pL")).as_py())
