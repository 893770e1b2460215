"""Files made up at random, clean and damaged: none is read wrongly, none raises anything but an InputError.

A made-up history is written the way some vendor might write it, and then perhaps damaged. What is read is held against
the history: a clean file must give it back, or name the option that settles how to read it; a damaged one must be
refused, at the line of the damage where that is one line.
"""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested, read_prices

SHORT = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(
    max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink]
)

ROLES = ["date", "open", "high", "low", "close", "volume"]
HEADERS = [
    ("ascii", "Date Open High Low Close Volume"),
    ("ascii", "timestamp open high low close vol"),
    ("ascii", "<DATE> <OPEN> <HIGH> <LOW> <CLOSE> <VOL>"),
    ("cp1252", "Datum Eröffnung Hoch Tief Schluß Stücke"),
    ("cp1252", "Fecha Apertura Máximo Mínimo Cierre Volumen"),
    ("cp1251", "Дата Открытие Максимум Минимум Закрытие Объем"),
    ("cp932", "日付 始値 高値 安値 終値 出来高"),
    ("gb18030", "日期 开盘 最高 最低 收盘 成交量"),
    ("cp949", "일자 시가 고가 저가 종가 거래량"),
]
DATES = [
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d-%b-%Y",
    "%d-%b-%y", "%b %d; %Y", "%d %B %Y", "%m/%d/%y", "%d.%m.%y", "%Y-%m-%d 00:00:00-05:00", "%Y-%m-%dT00:00:00.000Z",
]  # fmt: skip
EXTRAS = ["Adj Close", "Change", "Change %", "PREV. CLOSE", "adjOpen", "52W H", "Turnover", "note"]


@dataclass
class History:
    """One ticker's truth, in cents of ``10 ** -places``."""

    ticker: str
    days: list[date]
    prices: list[tuple[float, float, float, float]]
    volumes: list[int]


@dataclass
class Style:
    """How a file is written."""

    encoding: str
    names: dict[str, str]
    columns: list[str]
    form: str
    delimiter: str
    comma: bool
    group: str
    currency: str
    quote: bool
    newest_first: bool
    end: str
    last_end: bool
    bom: bool
    packed: bool
    places: int


def make_history(random: Random, ticker: str, places: int) -> History:
    count = random.randint(3, 60)
    start = date(random.choice([1975, 1998, 2009, 2023]), random.randint(1, 12), random.randint(1, 28))
    days = [day for step in range(2 * count + 4) if (day := start + timedelta(days=step)).weekday() < 5][:count]
    level = 10 ** random.uniform(-0.3, 4.3)
    prices = []
    for _ in days:
        level *= 1 + random.uniform(-0.04, 0.04)
        opened, closed = (level * (1 + random.uniform(-0.01, 0.01)) for _ in range(2))
        high, low = max(opened, closed) * 1.013, min(opened, closed) * 0.987
        prices.append(tuple(round(price, places) for price in (opened, high, low, closed)))
    return History(ticker, days, prices, [random.randint(1, 10**7) for _ in days])


def make_style(random: Random, places: int, many: bool) -> Style:
    encoding, header = random.choice(HEADERS)
    names = dict(zip(ROLES, header.split(), strict=True))
    encoding = random.choice([encoding, "utf-8", "utf-8", "utf-8", "utf-16"])
    signs = {"ascii": ["", "$"], "cp1252": ["", "$", "€"], "utf-8": ["", "", "$", "€"], "utf-16": ["", "€"]}
    eastern = names["open"] > "\u3000"
    comma = random.random() < 0.3 and not eastern  # nobody there writes decimal commas
    delimiter = random.choice(";\t|" if comma else ",,,,;\t|")
    group = random.choice(["", "", "." if comma else ",", " "])
    quote = delimiter == "," and (group == "," or random.random() < 0.2)
    columns = list(ROLES)
    if random.random() < 0.3:
        columns = columns[: random.choice([4, 5])]
    if random.random() < 0.4:
        random.shuffle(columns)
    for extra in random.sample(EXTRAS, random.choice([0, 0, 0, 1, 2])):
        columns.insert(random.randint(0, len(columns)), extra)
    if many:
        columns.insert(random.choice([0, len(columns)]), random.choice(["Ticker", "symbol", "NAME"]))
    return Style(
        encoding, names, columns, random.choice(DATES).replace(";", "," if delimiter != "," or quote else ""),
        delimiter, comma, group, random.choice(signs.get(encoding, [""])), quote,
        random.random() < 0.4, random.choice(["\n", "\r\n"]), random.random() < 0.8,
        encoding == "utf-8" and random.random() < 0.3, random.random() < 0.1, places,
    )  # fmt: skip


def number(value: float, style: Style) -> str:
    text = f"{value:,.{style.places}f}"
    whole, _, rest = text.partition(".")
    mark = "," if style.comma else "."
    return style.currency + whole.replace(",", style.group) + (mark + rest if rest else "")


def cells(history: History, at: int, style: Style) -> dict[str, str]:
    opened, high, low, closed = history.prices[at]
    shown = {
        "date": history.days[at].strftime(style.form),
        "open": number(opened, style),
        "high": number(high, style),
        "low": number(low, style),
        "close": number(closed, style),
        "volume": str(history.volumes[at]),
        "note": "",
        "Turnover": str(history.volumes[at] * 3),
        "Change %": number(1.5, style).replace(style.currency, "") + "%",
        "Change": "-" + number(0.25, style).replace(style.currency, ""),
    }
    odd = {
        name: number(value / 7, style)
        for name, value in zip(EXTRAS, (closed, 1, 1, opened, opened, high), strict=False)
    }
    return {**odd, **shown}


def split(style: Style, row: list[str]) -> str:
    return style.delimiter.join(f'"{cell}"' if style.quote else cell for cell in row)


def table(histories: list[History], style: Style) -> list[list[str]]:
    rows = []
    for history in histories:
        order = range(len(history.days))
        for at in reversed(order) if style.newest_first else order:
            shown = cells(history, at, style)
            rows.append([shown.get(column, history.ticker) for column in style.columns])
    return rows


def written(style: Style, lines: list[str]) -> bytes:
    text = style.end.join(lines) + (style.end if style.last_end else "")
    encoded = ("\ufeff" if style.bom else "").encode() + text.encode(style.encoding)
    return gzip.compress(encoded, mtime=0) if style.packed else encoded


def read(content: bytes, name: str = "file.csv") -> Ingested:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_prices(path)


def attempt(content: bytes, name: str = "file.csv") -> Ingested | InputError:
    try:
        return read(content, name)
    except InputError as error:
        return error


def same(prices: pd.DataFrame, history: History, style: Style) -> None:
    own = prices[prices["ticker"] == history.ticker]
    assert [when.date() for when in own["date"]] == history.days
    for place, role in enumerate(("open", "high", "low", "close")):
        if role in style.columns:
            np.testing.assert_allclose(own[role], [price[place] for price in history.prices], rtol=1e-12)


def made(random: Random) -> tuple[list[History], Style]:
    places = random.choice([2, 2, 2, 3, 4])
    many = random.random() < 0.3
    tickers = ["AAA", "B.B", "0700.HK"][: random.randint(2, 3)] if many else ["file"]
    histories = [make_history(random, ticker, places) for ticker in tickers]
    return histories, make_style(random, places, many)


def lines_of(histories: list[History], style: Style) -> list[str]:
    header = [style.names.get(column, column) for column in style.columns]
    return [split(style, header), *(split(style, row) for row in table(histories, style))]


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
