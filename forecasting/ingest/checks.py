"""What makes rows a price history: possible prices, all in one unit. Each check is one sentence about a real history.

All tickers are checked together; only the ones in which something is found are looked at again, one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.ingest import days
from forecasting.ingest.names import NEEDED, PRICES, Role
from forecasting.ingest.table import Report, Table, Verdict

__all__ = ["DOUBTS", "check_rows"]

_ROUNDING = 1e-3  # Open and Close may be outside [Low, High] by this share of the price: adjusting and rounding do that
_GROSS = 0.02  # an Open outside [Low, High] by more than this share belongs to another row, or another column
_RANGE = 10.0  # where High is this many times Open, or Open this many times Low, a decimal mark has slipped
_SCALE, _EDGE_SCALE = np.log(8.0), np.log(30.0)
"""A row that is this many times its neighbours on both sides, or its one neighbour at an end, is in another unit."""
_NO_SPLIT = np.log(300.0)  # no split is this large: such a change of level is a change of unit
_SPELL, _BACK = 20, np.log(2.5)
"""How many rows such an excursion may last, and the factor within which prices are back after it."""
_LATE = 60  # rows after which a change of level by 100 or 1,000 is believed
_STEP = 0.35  # how near, in logs, a change of level comes to 100 or 1,000
_LONE, _LONE_BACK = np.log(2.0), np.log(1.3)
"""A row is alone when it differs from both neighbours by the first factor, and they agree within the second."""
_FROZEN = 5
_RECENT = 20


def check_rows(table: Table, report: Report) -> Table:
    """Check rows, leave identical duplicates out, and sort them by ticker and day."""
    verdict = Verdict(table.sorted(), report)
    for check in (possible, consistent, close_and_volume, *days.CHECKS, in_scale, *DOUBTS):
        if len(verdict.table):
            check(verdict)
    return verdict.table


def possible(verdict: Verdict) -> None:
    """Open, High and Low are finite, above zero, and not scaled to run from exactly 0 to exactly 1."""
    for role in NEEDED:
        verdict.refuse(~np.isfinite(verdict.prices[role]), "{value} is not finite", role)
    table, low = verdict.table, verdict.prices["low"]
    if len(table) and (low == 0).any():
        tops, floors = table.per_ticker(np.maximum, verdict.prices["high"]), table.per_ticker(np.minimum, low)
        what = "all prices are from 0 to 1, which both occur: scaled numbers, no prices"
        verdict.refuse((low == 0) & (tops == 1) & (floors == 0), what, "low")
    for role in NEEDED:
        verdict.refuse_unless_rare(verdict.prices[role] <= 0, "{value} is not a price", role)


def consistent(verdict: Verdict) -> None:
    """High is not below Low, Open is between them, and all three are of one scale."""
    below = verdict.prices["high"] < verdict.prices["low"]
    verdict.refuse_unless_rare(below, "High {high} is below Low {low}", "high")
    what = "{value} is far outside [Low, High] of its row"
    verdict.refuse_unless_rare(_outside(verdict, "open") > _GROSS, what, "open")
    verdict.warn(_outside(verdict, "open") > _ROUNDING, "Open is outside [Low, High]", "open")
    what = f"{{value}} is more than {_RANGE:g} times off Open"
    verdict.refuse_unless_rare(verdict.prices["high"] > _RANGE * verdict.prices["open"], what, "high")
    verdict.refuse_unless_rare(verdict.prices["open"] > _RANGE * verdict.prices["low"], what, "low")


def _outside(verdict: Verdict, role: Role) -> Array:
    """How far a price is outside [Low, High], as a share of it; NaN where there is none."""
    values, high, low = (verdict.prices[name] for name in (role, "high", "low"))
    return np.maximum(values - high, low - values) / values


def close_and_volume(verdict: Verdict) -> None:
    """Close and Volume never refuse a row: an impossible value is taken as missing, an odd one is reported."""
    close, volume = verdict.prices["close"], verdict.prices["volume"]
    what = "is not a possible {}, taken as missing"
    verdict.take_as_missing(np.isinf(close) | (close <= 0), what.format("close"), "close")
    verdict.take_as_missing(np.isinf(volume) | (volume < 0), what.format("volume"), "volume")
    what = "Close is outside [Low, High] (on another basis than Open?)"
    verdict.warn(_outside(verdict, "close") > _ROUNDING, what, "close")


def _leaps(table: Table) -> Array:
    """Compute the change of the log of Open from each row of a ticker to the next; 0 from one ticker to another."""
    opens = np.log(table.prices["open"])
    return np.where(table.same, opens[1:] - opens[:-1], 0.0)


def in_scale(verdict: Verdict) -> None:
    """Refuse rows that are a power of ten above or below their neighbours, and what may be a change of unit."""
    table, leaps = verdict.table, _leaps(verdict.table)
    jumped = days.later(np.abs(leaps) > _SCALE)
    factor = np.zeros(len(table))  # of the rows that are out of scale, in logs
    for rows in table.histories(jumped):
        at = rows.start + np.flatnonzero(jumped[rows])
        for start, stop, leap in _excursions(at, leaps, rows.start, rows.stop):
            factor[start:stop] = leap
        alone = at[(factor[at] == 0) & (factor[at - 1] == 0)]
        factor[alone] = np.where(np.abs(leaps[alone - 1]) > _NO_SPLIT, leaps[alone - 1], 0)
        jumped[at] = np.isin(at, alone)
    what = f"Open changes by a factor of more than {np.exp(_SCALE):g} from the row before (a split?)"
    verdict.warn(jumped & (factor == 0), what, "open")

    def say(row: int) -> str:
        side = "times" if factor[row] > 0 else "times smaller than"
        opened = table.prices["open"][row]
        return f"{opened:.10g} is about {np.exp(abs(factor[row])):.3g} {side} the rows next to it"

    near = np.min([np.abs(np.abs(leaps) - np.log(step)) for step in (100, 1000)], axis=0) < _STEP
    left = np.repeat(table.edges[1:], np.diff(table.edges)) - np.arange(len(table))
    late = days.later(near) & (left <= _LATE) & (factor == 0)
    verdict.refuse(factor != 0, say, "open")
    what = "from here on Open is about 100 or 1,000 times larger or smaller ({value}): taken for a change of unit"
    late = late[np.isin(table.codes, verdict.table.codes)]
    verdict.refuse(late, f"{what}, not a split, as fewer than {_LATE} rows follow", "open")


def _excursions(jumps: IntArray, leaps: Array, first: int, stop: int) -> Iterator[tuple[int, int, float]]:
    """Give the rows that leave the scale of their neighbours and come back: start, end, log of the factor."""
    for here, there in pairwise(jumps.tolist()):
        if there - here <= _SPELL and abs(leaps[here - 1] + leaps[there - 1]) < _BACK:
            yield here, there, leaps[here - 1]
    if stop - first > 2 and jumps[0] == first + 1 and abs(leaps[first]) > _EDGE_SCALE:
        yield first, first + 1, -leaps[first]
    if stop - first > 2 and jumps[-1] == stop - 1 and abs(leaps[stop - 2]) > _EDGE_SCALE:
        yield stop - 1, stop, leaps[stop - 2]


def _flat(table: Table) -> BoolArray:
    """Mark the rows with a single price and no volume."""
    opens, high, low, close, volume = (table.prices[role] for role in PRICES)
    one_price = (opens == high) & (high == low) & ((close == opens) | np.isnan(close))
    flat: BoolArray = one_price & ((volume == 0) | np.isnan(volume))
    return flat


def lone_rows(verdict: Verdict) -> None:
    """Report a single row far from its neighbours, after which prices are back: a slip, or another instrument's row."""
    leaps = _leaps(verdict.table)
    there, back = leaps[:-1], leaps[1:]
    lone = (np.minimum(np.abs(there), np.abs(back)) > _LONE) & (np.abs(there + back) < _LONE_BACK)
    what = "Open is alone, twice its neighbours or more, or half of them or less"
    verdict.warn(days.earlier(days.later(lone)), what, "open")


def repeated_rows(verdict: Verdict) -> None:
    """Report a row that repeats the one before it, with its volume: a day that was filled in."""
    table = verdict.table
    repeated = np.all([days.equal(values[1:], values[:-1]) for values in table.prices.values()], axis=0) & table.same
    moved = (table.prices["high"] > table.prices["low"]) & (table.prices["volume"] != 0)
    verdict.warn(days.later(repeated) & moved, "the same prices and volume as in the row before: repeated?")


def frozen_blocks(verdict: Verdict) -> None:
    """Report a block of one price without volume: a placeholder, not trading."""
    table, flat = verdict.table, _flat(verdict.table)
    opens = table.prices["open"]
    runs = np.cumsum(~days.later(flat[1:] & flat[:-1] & (opens[1:] == opens[:-1]) & table.same))
    what = "one flat price without volume on several rows: a placeholder?"
    verdict.warn(np.bincount(runs)[runs] >= _FROZEN, what)


def running_session(verdict: Verdict) -> None:
    """Report a last row of one price without volume, or with far less volume and range: its session was not over."""
    table, flat = verdict.table, _flat(verdict.table)
    ends = table.edges[1:]
    marks = np.zeros(len(table), dtype=np.bool_)
    marks[ends - 1] = flat[ends - 1] & ~flat[np.maximum(ends - 2, table.edges[:-1])]
    ends = ends[np.diff(table.edges) > _RECENT]
    recent = ends[:, None] - np.arange(_RECENT + 1, 0, -1)
    # Both must be below all of the last month's and far below the usual: a half day is not.
    kept = [(table.prices["volume"][recent], 10), ((table.prices["high"] - table.prices["low"])[recent], 5)]
    far = [
        (own[:, -1] * factor < np.median(own[:, :-1], 1)) & (own[:, -1] < own[:, :-1].min(1)) for own, factor in kept
    ]
    marks[ends - 1] |= far[0] & far[1]
    what = "the last row has one price, or a small part of the usual volume and range: was its session running?"
    verdict.warn(marks, what)


DOUBTS = (*days.DOUBTS, lone_rows, repeated_rows, frozen_blocks, running_session)
