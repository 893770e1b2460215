"""Names of array types, for signatures, and days as the numbers in such arrays."""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "BoolArray", "IntArray", "date_of", "day_of"]

_EPOCH = date(1970, 1, 1).toordinal()

Array = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


def day_of(when: date) -> int:
    """Return a date as days since 1970-01-01."""
    return when.toordinal() - _EPOCH


def date_of(day: int | np.int64) -> date:
    """Return the date of a number of days since 1970-01-01."""
    return date.fromordinal(int(day) + _EPOCH)
