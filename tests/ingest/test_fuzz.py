"""Files made up at random, clean and damaged: none is read wrongly, none raises anything but an InputError.

A made-up history is written the way some vendor might write it, and then perhaps damaged. What is read is held against
the history: a clean file must give it back, or name the option that settles how to read it; a damaged one must be
refused, at the line of the damage where that is one line.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_up_files import History, Style, attempt, lines_of, made, read, same, split, table, written

from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested

SHORT = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(
    max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink]
)


# --- clean files -----------------------------------------------------------------------------------------------------


def check_clean(random: Random) -> None:
    histories, style = made(random)
    found = attempt(written(style, lines_of(histories, style)))
    if isinstance(found, InputError):
        assert found.setting is not None, f"{found}\n{style}"
        return
    assert found.refused == (), style
    assert set(found.prices["ticker"]) == {history.ticker for history in histories}
    for history in histories:
        same(found.prices, history, style)


# --- damaged files: what is done to a row's cells, and must be refused ------------------------------------------------

Damage = Callable[[Random, list[str], Style], list[str] | None]


def _price_column(random: Random, style: Style) -> int:
    return style.columns.index(random.choice(["open", "high", "low"]))


def damage_text(random: Random, row: list[str], style: Style) -> list[str]:
    column = _price_column(random, style)
    values = ["x", "=A1", "#REF!", "inf", "1e999", "-5", "0", "1 2 3", "12%", "5..5", "1e", "0x1F", "true"]
    return [*row[:column], random.choice(values), *row[column + 1 :]]


def damage_swap(random: Random, row: list[str], style: Style) -> list[str]:
    high, low = style.columns.index("high"), style.columns.index("low")
    swapped = list(row)
    swapped[high], swapped[low] = row[low], row[high]
    return swapped if row[high] != row[low] else [*row, "9"]


def damage_hole(random: Random, row: list[str], style: Style) -> list[str]:
    column = _price_column(random, style)
    return [*row[:column], random.choice(["", "null", "N/A"]), *row[column + 1 :]]


def damage_extra(random: Random, row: list[str], style: Style) -> list[str]:
    return [*row, "7"]


def damage_short(random: Random, row: list[str], style: Style) -> list[str]:
    return row[: random.randint(1, len(row) - 1)]


def damage_date(random: Random, row: list[str], style: Style) -> list[str]:
    column = style.columns.index("date")
    values = ["16:00", "yesterday", "2024-02-31", "99/99/9999", "2204-01-05", "0", "Totals?", ""]
    return [*row[:column], random.choice(values), *row[column + 1 :]]


DAMAGES: list[Damage] = [damage_text, damage_swap, damage_hole, damage_extra, damage_short, damage_date]


def check_damaged_row(random: Random) -> None:
    histories, style = made(random)
    rows = table(histories, style)
    at = random.randrange(len(rows))
    damaged = random.choice(DAMAGES)(random, rows[at], style)
    if not any(cell for cell in damaged):
        return
    lines = lines_of(histories, style)
    lines[1 + at] = split(style, damaged)
    owners = [history for history in histories for _ in history.days]
    refused_at(written(style, lines), at + 2, owners[at], histories, style)


def refused_at(content: bytes, line: int, owner: History, histories: list[History], style: Style) -> None:
    """The damaged ticker is refused at its line, or the whole file is; the others are read as they are."""
    found = attempt(content)
    if isinstance(found, InputError):
        # With few rows the damaged one may have a say in how all of them are read: then the first row is named.
        assert found.setting is not None or found.line in {line, 2} or "another format" in found.what, str(found)
        return
    assert owner.ticker not in set(found.prices["ticker"]), (style, found.findings)
    assert owner.ticker in {refusal.ticker for refusal in found.refused}
    for history in histories:
        if history is not owner:
            same(found.prices, history, style)


def check_rescaled_row(random: Random) -> None:
    """A row in another unit, between two others, is refused."""
    histories, style = made(random)
    owner = random.choice(histories)
    at = random.randrange(1, len(owner.days) - 1)
    factor = random.choice([100, 1000, 0.01, 0.001]) if owner.prices[at][2] > 50 else 100
    owner.prices[at] = tuple(round(price * factor, 4) for price in owner.prices[at])
    style.places = 4
    before = sum(len(history.days) for history in histories[: histories.index(owner)])
    line = 2 + before + (len(owner.days) - 1 - at if style.newest_first else at)
    refused_at(written(style, lines_of(histories, style)), line, owner, histories, style)


def check_conflicting_day(random: Random) -> None:
    histories, style = made(random)
    rows = table(histories, style)
    at = random.randrange(len(rows))
    column = style.columns.index("open")
    other = list(rows[at])
    other[column] = other[style.columns.index("low")]
    if other == rows[at]:
        return
    lines = [*lines_of(histories, style), split(style, other)]
    owners = [history for history in histories for _ in history.days]
    content = written(style, lines)
    try:
        found = read(content)
    except InputError:
        return
    assert owners[at].ticker not in set(found.prices["ticker"])


def check_cut_file(random: Random) -> None:
    """A file cut anywhere gives no row that is not in the history, its volume aside."""
    histories, style = made(random)
    content = written(style, lines_of(histories, style))
    cut = content[: random.randrange(max(1, len(content) - 200), len(content))]
    try:
        found = read(cut)
    except InputError:
        return
    truth = {
        (history.ticker, day): prices
        for history in histories
        for day, prices in zip(history.days, history.prices, strict=True)
    }
    for one in found.prices.itertuples():
        prices = truth.get((one.ticker, one.date.date()))
        assert prices is not None, (style, one)
        for place, role in enumerate(("open", "high", "low")):
            assert getattr(one, role) == pytest.approx(prices[place], rel=1e-12), (style, one, cut[-80:])


def check_spoiled_bytes(random: Random) -> None:
    """Bytes changed anywhere: read or refused, and what is read is at least possible."""
    histories, style = made(random)
    content = bytearray(written(style, lines_of(histories, style)))
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(content))
        kind = random.randrange(4)
        if kind == 0:
            content[at] = random.randrange(256)
        elif kind == 1:
            del content[at : at + random.randint(1, 40)]
        elif kind == 2:
            content[at:at] = bytes(random.randrange(256) for _ in range(random.randint(1, 5)))
        else:
            content[at:at] = random.choice([b'"', b"\n", b",", b";", b"\0", b"\xff", b"null", b"\r", b"-", b"E9"])
        if not content:
            return
    try:
        found = read(bytes(content))
    except InputError:
        return
    prices = found.prices
    assert np.isfinite(prices[["open", "high", "low"]]).all(axis=None)
    assert (prices[["open", "high", "low"]] > 0).all(axis=None)
    assert (prices["high"] >= prices["low"]).all()
    assert not prices.duplicated(["ticker", "date"]).any()


def check_rubbish(random: Random) -> None:
    """Pieces of files put together at random never raise anything but an InputError."""
    words = (
        "Date,Open,High,Low 2024-01-02 , 1.5 ; | null Ticker < { é 1,234 Open High Low Date 01/02/2024 = sep=; 1e999"
    )
    pieces = [*words.split(), "日付", "\n", "\n", '"', "\t", "\ufeff", "\x0b", " "]
    content = "".join(random.choice(pieces) for _ in range(random.randint(0, 60))).encode()
    if random.random() < 0.2:
        content = bytes(random.randrange(256) for _ in range(random.randint(0, 300)))
    found = attempt(content, random.choice(["a.csv", "a.csv.gz", ".csv"]))
    assert isinstance(found, Ingested) or str(found)


CHECKS = [
    check_clean,
    check_damaged_row,
    check_rescaled_row,
    check_conflicting_day,
    check_cut_file,
    check_spoiled_bytes,
    check_rubbish,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@SHORT
@given(random=st.randoms(use_true_random=True))
def test_no_file_is_read_wrongly(check: Callable[[Random], None], random: Random) -> None:
    check(random)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@LONG
@given(random=st.randoms(use_true_random=True), check=st.sampled_from(CHECKS))
def test_no_file_of_ten_thousand_is_read_wrongly(check: Callable[[Random], None], random: Random) -> None:
    check(random)
