"""Price files of plain lines, for one ticker or for several in one long file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

HEADER = "Date,Open,High,Low,Close,Volume"
FIRST = date(2024, 1, 2)


def row(at: int, scale: float = 1.0) -> str:
    """One session's line: weekdays on end, prices that wander a little."""
    day = FIRST + timedelta(days=at + 2 * ((at + FIRST.weekday()) // 5))
    opened = scale * (100 + at % 7)
    return f"{day},{opened:.2f},{opened * 1.02:.2f},{opened * 0.98:.2f},{opened * 1.01:.2f},{1000 + at}"


def lines(count: int = 20, scale: float = 1.0) -> list[str]:
    return [row(at, scale) for at in range(count)]


def write(path: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def long(tickers: dict[str, list[str]]) -> list[str]:
    return [f"{ticker},{line}" for ticker, own in tickers.items() for line in own]


def write_long(path: Path, tickers: dict[str, list[str]], name: str = "Ticker") -> Path:
    return write(path, long(tickers), f"{name},{HEADER}")
