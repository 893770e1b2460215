"""What makes rows a price history: possible prices, one row per day, and no row out of scale.

Every check looks at all tickers at once; only a ticker in which something is found is looked at again, by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.ingest.doubts import DOUBTS
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.order import check_days, check_order
from forecasting.ingest.table import Table
from forecasting.ingest.verdict import Verdict, number, sort_index

__all__ = ["check_rows"]

_ROUNDING = 1e-3
"""Open and Close may be outside [Low, High] by this share of the price: adjusting and rounding do that."""
_GROSS = 0.02
"""An Open outside [Low, High] by more than this share belongs to another row, or another column."""
_RANGE = 10.0
"""High so many times Open, or Open so many times Low, is a slipped decimal mark."""
_SCALE = 8.0
"""A row so many times its neighbours on both sides is in another unit, or another security's."""
_EDGE_SCALE = 30.0
"""The same for a first or last row, which has a neighbour on one side only."""
_NO_SPLIT = 300.0
"""No split is as large as this: a change of level by so much is a change of unit."""
_SPELL = 20
"""Rows that such an excursion may last."""
_BACK = 2.5
"""After it prices are back within this factor."""


def check_rows(table: Table) -> Verdict:
    """Check rows, leave identical duplicates out, and sort them by ticker and day."""
    verdict = Verdict(_by_name(table))
    steps = (
        _possible,
        _consistent,
        _close_and_volume,
        _one_row_a_day,
        check_days,
        check_order,
        _sort,
        _in_scale,
        _snapshot,
        *DOUBTS,
    )
    for step in steps:
        if len(verdict.table):
            step(verdict)
    return verdict


def _by_name(table: Table) -> Table:
    """Give the tickers numbers in the order of their names."""
    order = sorted(range(len(table.tickers)), key=lambda code: table.tickers[code])
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order))
    return replace(table, tickers=[table.tickers[code] for code in order], codes=places[table.codes])


def _possible(verdict: Verdict) -> None:
    """Open, High and Low are finite and above zero."""
    roles: tuple[Role, ...] = ("open", "high", "low")
    for role in roles:
        values = verdict.table.prices[role]
        verdict.refuse(~np.isfinite(values), partial(_say, values, "is not finite"), role)
    scaled = _scaled(verdict.table)
    verdict.refuse(scaled, lambda _: "all prices are from 0 to 1, which both occur: scaled numbers, no prices", "low")
    for role in roles:
        values = verdict.table.prices[role]
        verdict.refuse_unless_rare(values <= 0, partial(_say, values, "is not a price"), role)


def _scaled(table: Table) -> BoolArray:
    """Which zeros are of tickers whose prices were scaled to run from exactly 0 to exactly 1."""
    zero: BoolArray = table.prices["low"] == 0
    if not zero.any():
        return zero
    tops, floors = np.full(len(table.tickers), -np.inf), np.full(len(table.tickers), np.inf)
    np.maximum.at(tops, table.codes, table.prices["high"])
    np.minimum.at(floors, table.codes, table.prices["low"])
    scaled: BoolArray = zero & ((tops == 1) & (floors == 0))[table.codes]
    return scaled


def _consistent(verdict: Verdict) -> None:
    """High is not below Low, Open is between them, and all three are of one scale."""
    high, low = verdict.table.prices["high"], verdict.table.prices["low"]
    below = partial(_say_below, high, low)
    verdict.refuse_unless_rare(high < low, below, "high")
    opens = verdict.table.prices["open"]
    gross = _outside(verdict.table, "open") > _GROSS
    verdict.refuse_unless_rare(gross, partial(_say, opens, "is far outside [Low, High] of its row"), "open")
    outside = _outside(verdict.table, "open") > _ROUNDING
    verdict.warn(outside, "Open is outside [Low, High]", "open")
    off = f"is more than {_RANGE:g} times off Open"
    high, opens = verdict.table.prices["high"], verdict.table.prices["open"]
    verdict.refuse_unless_rare(high > _RANGE * opens, partial(_say, high, off), "high")
    low, opens = verdict.table.prices["low"], verdict.table.prices["open"]
    verdict.refuse_unless_rare(opens > _RANGE * low, partial(_say, low, off), "low")


def _say(values: Array, what: str, row: int) -> str:
    return f"{number(values[row])} {what}"


def _say_below(high: Array, low: Array, row: int) -> str:
    return f"High {number(high[row])} is below Low {number(low[row])}"


def _outside(table: Table, role: Role) -> Array:
    """How far a price is outside [Low, High], as a share of it; NaN where there is none."""
    values = table.prices[role]
    return np.maximum(values - table.prices["high"], table.prices["low"] - values) / values


def _close_and_volume(verdict: Verdict) -> None:
    """Close and Volume never refuse a row: an impossible one is taken as missing, an odd one is reported."""
    roles: tuple[Role, ...] = ("close", "volume")
    for role in roles:
        values = verdict.table.prices[role]
        broken = np.isinf(values) | (values < 0) | ((values == 0) & (role == "close"))
        if broken.any():
            verdict.warn(broken, f"is not a possible {role}, taken as missing", role)
            verdict.put(role, np.where(broken, np.nan, values))
    outside = _outside(verdict.table, "close") > _ROUNDING
    verdict.warn(outside, "Close is outside [Low, High] (on another basis than Open?)", "close")


def _one_row_a_day(verdict: Verdict) -> None:
    """Rows that repeat a day are left out when their prices are the same, and refused when they are not."""
    table = verdict.table
    order = sort_index(table)
    by = np.arange(len(table)) if order is None else order
    codes, days = table.codes[by], table.days[by]
    again = np.flatnonzero((codes[1:] == codes[:-1]) & (days[1:] == days[:-1])) + 1
    if not len(again):
        return
    roles: tuple[Role, ...] = ("open", "high", "low", "close")
    equal = np.ones(len(again), dtype=np.bool_)
    for role in roles:
        values = table.prices[role][by]
        equal &= (values[again] == values[again - 1]) | (np.isnan(values[again]) & np.isnan(values[again - 1]))
    _settle_volumes(verdict, by, again[equal])
    conflicting = np.zeros(len(table), dtype=np.bool_)
    conflicting[by[again[~equal]]] = True
    conflicting[by[again[~equal] - 1]] = True
    repeated = np.zeros(len(table), dtype=np.bool_)
    repeated[by[again[equal]]] = True
    verdict.set_aside(repeated, "the same day and prices again")
    days = verdict.table.days
    verdict.refuse(
        conflicting[~repeated],
        lambda row: f"{days[row].astype('datetime64[D]')} is there more than once, with different prices",
    )


def _settle_volumes(verdict: Verdict, by: IntArray, again: IntArray) -> None:
    """Where a repeated row has another volume, the volume is not known."""
    volume = verdict.table.prices["volume"]
    first, second = by[again - 1], by[again]
    differ = ~((volume[first] == volume[second]) | (np.isnan(volume[first]) & np.isnan(volume[second])))
    if differ.any():
        unknown = np.zeros(len(volume), dtype=np.bool_)
        unknown[first[differ]] = True
        verdict.warn(unknown, "the day is repeated with another volume, taken as missing", "volume")
        verdict.put("volume", np.where(unknown, np.nan, volume))


def _sort(verdict: Verdict) -> None:
    order = sort_index(verdict.table)
    if order is not None:
        verdict.table = verdict.table.take(order)


def _in_scale(verdict: Verdict) -> None:
    """No row is a power of ten above or below the rows around it."""
    table = verdict.table
    opens = table.prices["open"]
    leaps = np.log(opens[1:] / opens[:-1])
    jumps = np.flatnonzero((np.abs(leaps) > np.log(_SCALE)) & (table.codes[1:] == table.codes[:-1])) + 1
    if not len(jumps):
        return
    wrong = np.zeros(len(table), dtype=np.bool_)
    jumped = np.zeros(len(table), dtype=np.bool_)
    ratio = np.ones(len(table))
    for code in np.unique(table.codes[jumps]):
        rows = np.flatnonzero(table.codes == code)
        at = jumps[table.codes[jumps] == code]
        for start, stop, leap in _excursions(at, leaps, int(rows[0]), int(rows[-1]) + 1):
            wrong[start:stop] = True
            ratio[start:stop] = np.exp(leap)
        alone = at[~wrong[at] & ~wrong[at - 1]]
        beyond = alone[np.abs(leaps[alone - 1]) > np.log(_NO_SPLIT)]
        wrong[beyond] = True
        ratio[beyond] = np.exp(leaps[beyond - 1])
        jumped[alone] = ~wrong[alone]
    verdict.warn(jumped, f"Open changes by a factor of more than {_SCALE:g} from the row before (a split?)", "open")

    def what(row: int) -> str:
        factor = ratio[row] if ratio[row] > 1 else 1 / ratio[row]
        side = "times" if ratio[row] > 1 else "times smaller than"
        return f"{number(opens[row])} is about {factor:.3g} {side} the rows beside it"

    verdict.refuse(wrong, what, "open")


def _excursions(jumps: IntArray, leaps: Array, first: int, stop: int) -> Iterator[tuple[int, int, float]]:
    """Rows that leave the scale of their neighbours and come back: start, end, log of the factor."""
    for here, there in pairwise(jumps):
        if there - here <= _SPELL and abs(leaps[here - 1] + leaps[there - 1]) < np.log(_BACK):
            yield int(here), int(there), float(leaps[here - 1])
    if stop - first <= 2:
        return
    if jumps[0] == first + 1 and abs(leaps[first]) > np.log(_EDGE_SCALE):
        yield first, first + 1, -float(leaps[first])
    if jumps[-1] == stop - 1 and abs(leaps[stop - 2]) > np.log(_EDGE_SCALE):
        yield stop - 1, stop, float(leaps[stop - 2])


def _snapshot(verdict: Verdict) -> None:
    """Report a last row that was written while its day was still running."""
    table = verdict.table
    last = np.flatnonzero(np.append(table.codes[1:] != table.codes[:-1], True))
    flat = _flat(table, last) & ~_flat(table, np.maximum(last - 1, 0))
    rows = np.zeros(len(table), dtype=np.bool_)
    rows[last[flat]] = True
    verdict.warn(rows, "the last row has one price and no volume: a running day's snapshot?")


def _flat(table: Table, rows: IntArray) -> NDArray[np.bool_]:
    opens, high, low, close, volume = (table.prices[role][rows] for role in PRICES)
    one_price = (opens == high) & (high == low) & ((close == opens) | np.isnan(close))
    snapshot: NDArray[np.bool_] = one_price & ((volume == 0) | np.isnan(volume))
    return snapshot
