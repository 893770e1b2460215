"""The same 24 sessions as many vendors write them, and what reading them has to give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from forecasting.ingest.prices import read_prices


class Row(NamedTuple):
    d: date
    o: float
    h: float
    lo: float
    c: float
    v: int


def _sessions() -> list[Row]:
    """24 weekdays over a turn of the year, prices across 1,000 so that thousands are separated in some of them."""
    rows, day, price = [], date(2023, 12, 18), 985.25
    for step in range(24):
        opened = round(price + (step * 7 % 5) - 1.5, 2)
        closed = round(opened + (step * 5 % 7) - 2.75, 2)
        high, low = round(max(opened, closed) + 4.13, 2), round(min(opened, closed) - 3.87, 2)
        rows.append(Row(day, opened, high, low, closed, 1_234_500 + 98_765 * step))
        price = closed + 1.0
        day += timedelta(days=3 if day.weekday() == 4 else 1)
    return rows


ROWS = _sessions()
NEWEST_FIRST = ROWS[::-1]


def us(value: float, places: int = 2) -> str:
    return f"{value:,.{places}f}"


def eu(value: float, places: int = 2) -> str:
    return us(value, places).replace(",", "_").replace(".", ",").replace("_", ".")


def eu_plain(value: float, places: int = 2) -> str:
    return f"{value:.{places}f}".replace(".", ",")


def indian(value: float) -> str:
    whole, cents = f"{value:.2f}".split(".")
    head, tail = whole[:-3], whole[-3:]
    groups = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*groups, tail]) + "." + cents


def table(header: str, line: Callable[[Row], str], rows: Sequence[Row] = ROWS, end: str = "\n") -> str:
    return end.join([header, *(line(row) for row in rows)]) + end


def quoted(*fields: object) -> str:
    return ",".join(f'"{field}"' for field in fields)


def unix(day: date, hour: int = 0, minute: int = 0) -> int:
    return int((datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)).timestamp())


def write(content: str | bytes, name: str, folder: Path) -> Path:
    path = folder / f"{name}.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_right(path: Path, ticker: str | None = None, declared: Mapping[str, object] | None = None) -> None:
    """The file gives the sessions back; its ticker is the file's name where no other is named."""
    read = read_prices(path, format=declared)
    assert read.refused == ()
    prices = read.prices
    assert set(prices["ticker"]) == {ticker or path.stem}
    assert [when.date() for when in prices["date"]] == [row.d for row in ROWS]
    for name, place in (("open", 1), ("high", 2), ("low", 3), ("close", 4)):
        if name != "close" or prices[name].notna().any():
            assert prices[name].tolist() == pytest.approx([row[place] for row in ROWS], abs=1e-9), name
