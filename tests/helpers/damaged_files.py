"""A sound history of 24 sessions, and ways to damage the file that it is in."""

from __future__ import annotations

from datetime import date, timedelta

HEADER = "Date,Open,High,Low,Close,Volume"
DAYS = [date(2023, 12, 18) + timedelta(days=at + 2 * (at // 5)) for at in range(24)]  # weekdays, from a Monday on
PRICES = [(100 + at % 5 + 0.25, 103 + at % 5 + 0.5, 97 + at % 5 + 0.75, 101 + at % 5 + 0.25) for at in range(24)]


def line(at: int, scale: float = 1.0, day: object = None) -> str:
    cells = ",".join(f"{scale * price:.2f}" for price in PRICES[at])
    return f"{DAYS[at] if day is None else day},{cells},{1000 + at}"


GOOD = [line(at) for at in range(24)]


def file(rows: list[str] = GOOD, header: str = HEADER, end: str = "\n") -> str:
    return "\n".join([header, *rows]) + end


def instead(at: int, row: str) -> str:
    return file([*GOOD[:at], row, *GOOD[at + 1 :]])


def before(at: int, row: str) -> str:
    return file([*GOOD[:at], row, *GOOD[at:]])


def cell(at: int, column: int, value: str) -> str:
    cells = GOOD[at].split(",")
    cells[column] = value
    return instead(at, ",".join(cells))


def dated(form: str) -> list[str]:
    return [line(at, day=DAYS[at].strftime(form)) for at in range(24)]


def moved(days: int, clock: str = "") -> list[str]:
    return [line(at, day=f"{DAYS[at] + timedelta(days=days)}{clock}") for at in range(24)]


def last_column_is_low(cut: int) -> str:
    rows = [f"{DAYS[at]},{1000 + at},{PRICES[at][0]:.2f},{PRICES[at][1]:.2f},{PRICES[at][2]:.2f}" for at in range(24)]
    return file(rows, "Date,Volume,Open,High,Low", end="")[:-cut]


def scaled() -> str:
    """Prices brought to run from exactly 0 to exactly 1, as for a network's input; one zero among many rows."""
    rows = []
    for at in range(300):
        price = at if at < 250 else 250 + (at - 250) / 1000
        cells = (price + 0.5, min(price + 1.0, 250.5), price, price + 0.5)
        rows.append(f"{DAYS[0] + timedelta(days=at)},{','.join(f'{cell / 250.5:.9f}' for cell in cells)},{at}")
    return file(rows)


def quoted_in_32nds() -> str:
    rows = [
        f"{DAYS[at]},{','.join(f'{int(p)}{chr(39)}{int(p % 1 * 320):03d}' for p in PRICES[at])}" for at in range(24)
    ]
    return file(rows, "Date,Open,High,Low,Close")


MIXED = dated("%d/%m/%Y")[:12] + dated("%m/%d/%Y")[12:]
EXCEL = [line(at, day=f"{d:%d/%m/%Y}" if d.day > 12 else f"{d.month}/{d.day}/{d.year}") for at, d in enumerate(DAYS)]
