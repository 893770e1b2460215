"""Empirical quantiles of all values known at each position, for all positions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.config import LEVELS

__all__ = ["expanding_quantiles"]

_LEVELS = np.array(LEVELS)

BLOCK = 160
"""Series processed together, a shard's 32 tickers at five steps: few enough for their lists to stay in cache."""


def expanding_quantiles(values: Array, start: int) -> Array:
    """Empirical quantiles of all values up to and including each position from ``start`` on.

    All values are sorted once, as a linked list. Then time runs backwards: at each position the quantiles are read at
    pointers into the list, and the value of that position is unlinked, which moves each pointer by at most one node.
    So a position costs a few operations per level, however many values there are.

    Parameters
    ----------
    values
        ``(series, time)``; NaN is left out.
    start
        First position.

    Returns
    -------
    Array
        ``(series, time - start, 19)``, by linear interpolation between order statistics (Hyndman and Fan 1996, type
        7); NaN while there are fewer than two values.
    """
    series, time = values.shape
    out = np.empty((series, time - start, len(LEVELS)))
    for first in range(0, series, BLOCK):
        block = slice(first, first + BLOCK)
        with np.errstate(invalid="ignore"):  # infinity minus itself, where there are not two values
            out[block] = _quantiles(values[block], start).swapaxes(0, 1)
    return out


def _quantiles(values: Array, start: int) -> Array:
    """As `expanding_quantiles`, ``(time - start, series, 19)``."""
    ordered, place = _sort(values)
    series, size = ordered.shape
    ends = np.arange(series)[:, None] * size
    # The lists of all series, end to end in one array. A missing value points to the last node, after all others.
    following, before = (np.arange(series * size) + step for step in (1, -1))
    gone, real = (place + ends).T[start:], (place < size - 1).T[start:]
    counts = np.isfinite(values).cumsum(axis=1).T[start:, :, None]
    out = np.empty((len(counts), series, len(LEVELS)))
    rank = _LEVELS * np.maximum(counts[-1] - 1, 0)
    low = rank.astype(np.int64)
    pointer = low + 1 + ends
    for now in range(len(counts) - 1, -1, -1):
        # The places are those of the list: mode="clip" saves the check.
        upper = following.take(pointer, mode="clip")
        below, above = ordered.take(pointer, mode="clip"), ordered.take(upper, mode="clip")
        between = np.subtract(above, below, out=out[now])
        between *= rank - low
        between += below
        # Never above its upper neighbour, by whatever rounding: quantiles must not cross.
        np.minimum(between, above, out=between)
        if not now:
            break
        leaving = gone[now, real[now]]
        left, right = before[leaving], following[leaving]
        following[left], before[right] = right, left
        # When a value at or below the pointer leaves, its rank goes to the next node; and with one value less, a
        # rank falls by one or stays.
        np.copyto(pointer, upper, where=gone[now, :, None] <= pointer)
        last, rank = low, _LEVELS * np.maximum(counts[now - 1] - 1, 0)
        low = rank.astype(np.int64)
        np.copyto(pointer, before.take(pointer, mode="clip"), where=low < last)
    out[counts[:, :, 0] < 2] = np.nan
    return out


def _sort(values: Array) -> tuple[Array, NDArray[np.int64]]:
    """Sort each series, NaN last.

    Returns
    -------
    ordered
        ``(series, time + 2)``: ascending from place 1 on, infinite after the last value.
    place
        ``(series, time)``: where each position's value is in it; ``time + 1`` for NaN.
    """
    series, time = values.shape
    order = np.argsort(values, axis=1, kind="stable")  # NaN last
    ordered = np.full((series, time + 2), np.inf)
    ordered[:, 1:-1] = np.nan_to_num(np.take_along_axis(values, order, axis=1), nan=np.inf)
    place = np.empty((series, time), dtype=np.int64)
    np.put_along_axis(place, order, np.arange(1, time + 1)[None, :], axis=1)
    return ordered, np.where(np.isnan(values), time + 1, place)
