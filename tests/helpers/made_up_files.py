"""Histories made up at random, written the way some vendor might write them, and what reading them has to give."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd

from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested, read_prices

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
