"""The same 24 sessions as many vendors write them: each file is read right, whoever wrote it."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest

from forecasting.errors import InputError
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


MONTHS_DE = ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."]
UTC5 = timezone(timedelta(hours=-5))


def unix(day: date, hour: int = 0, minute: int = 0) -> int:
    return int((datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)).timestamp())


V: dict[str, str | bytes] = {
    "yahoo": table(
        "Date,Open,High,Low,Close,Adj Close,Volume",
        lambda r: f"{r.d},{r.o:f},{r.h:f},{r.lo:f},{r.c:f},{r.c / 2:f},{r.v}",
    ).rstrip("\n"),
    "yahoo_web_copy": table(
        "Date\tOpen\tHigh\tLow\tClose*\tAdj Close**\tVolume",
        lambda r: f"{r.d:%b %d, %Y}\t{us(r.o)}\t{us(r.h)}\t{us(r.lo)}\t{us(r.c)}\t{us(r.c / 2)}\t{r.v:,}",
        NEWEST_FIRST,
    ),
    "nasdaq": table(
        "Date,Close/Last,Volume,Open,High,Low",
        lambda r: f"{r.d:%m/%d/%Y},${r.c},{r.v},${r.o},${r.h},${r.lo}",
        NEWEST_FIRST,
    ),
    "nasdaq_padded": table(
        "Date, Close/Last, Volume, Open, High, Low",
        lambda r: f"{r.d:%m/%d/%Y}, ${r.c}, {r.v}, ${r.o}, ${r.h}, ${r.lo}",
        NEWEST_FIRST,
    ),
    "marketwatch": table(
        "Date,Open,High,Low,Close,Volume",
        lambda r: f'{r.d:%m/%d/%Y},"{us(r.o)}","{us(r.h)}","{us(r.lo)}","{us(r.c)}","{r.v:,}"',
        NEWEST_FIRST,
    ),
    "investing_us": "\ufeff"
    + table(
        '"Date","Price","Open","High","Low","Vol.","Change %"',
        lambda r: quoted(f"{r.d:%m/%d/%Y}", us(r.c), us(r.o), us(r.h), us(r.lo), f"{r.v / 1e6:.2f}M", "-0.53%"),
        NEWEST_FIRST,
    ),
    "investing_old": "\ufeff"
    + table(
        '"Date","Price","Open","High","Low","Vol.","Change %"',
        lambda r: quoted(f"{r.d:%b %d, %Y}", us(r.c), us(r.o), us(r.h), us(r.lo), "-", "-0.53%"),
        NEWEST_FIRST,
    ),
    "investing_de": "\ufeff"
    + table(
        '"Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "-0,53%"),
        NEWEST_FIRST,
    ),
    "investing_fr": table(
        '"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"',
        lambda r: quoted(f"{r.d:%d/%m/%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_es": table(
        '"Fecha","Último","Apertura","Máximo","Mínimo","Vol.","% var."',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_pt": table(
        '"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_it": table(
        '"Data","Ultimo","Apertura","Massimo","Minimo","Vol.","Var. %"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_tr": table(
        '"Tarih","Şimdi","Aç\u0131l\u0131ş","Yüksek","Düşük","Hac.","Fark %"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "%0,53"),
        NEWEST_FIRST,
    ),
    "investing_pl": table(
        '"Data","Ostatnio","Otwarcie","Max.","Min.","Wol.","Zmiana%"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_ru": table(
        '"Дата","Цена","Откр.","Макс.","Мин.","Объём","Изм. %"',
        lambda r: quoted(f"{r.d:%d.%m.%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_jp": table(
        '"日付け","終値","始値","高値","安値","出来高","変化率 %"',
        lambda r: quoted(f"{r.d:%Y年%m月%d日}", us(r.c), us(r.o), us(r.h), us(r.lo), f"{r.v / 1e6:.2f}M", "0.53%"),
        NEWEST_FIRST,
    ),
    "investing_kr": table(
        '"날짜","종가","시가","고가","저가","거래량","변동 %"',
        lambda r: quoted(f"{r.d:%Y- %m- %d}", us(r.c), us(r.o), us(r.h), us(r.lo), f"{r.v / 1e6:.2f}M", "0.53%"),
        NEWEST_FIRST,
    ),
    "investing_cn": table(
        '"日期","收盘","开盘","高","低","交易量","涨跌幅"',
        lambda r: quoted(
            f"{r.d.year}-{r.d.month}-{r.d.day}", us(r.c), us(r.o), us(r.h), us(r.lo), f"{r.v / 1e6:.2f}M", "0.53%"
        ),
        NEWEST_FIRST,
    ),
    "investing_nl": table(
        '"Datum","Laatste","Open","Hoog","Laag","Vol.","Verschil %"',
        lambda r: quoted(f"{r.d:%d-%m-%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_se": table(
        '"Datum","Senaste","Öppen","Högst","Lägst","Vol.","+/- %"',
        lambda r: quoted(f"{r.d}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_id": table(
        '"Tanggal","Terakhir","Pembukaan","Tertinggi","Terendah","Vol.","Perubahan%"',
        lambda r: quoted(f"{r.d:%d/%m/%Y}", eu(r.c), eu(r.o), eu(r.h), eu(r.lo), f"{eu(r.v / 1e6)}M", "0,53%"),
        NEWEST_FIRST,
    ),
    "investing_vn": table(
        '"Ngày","Lần cuối","Mở","Cao","Thấp","KL","% Thay đổi"',
        lambda r: quoted(f"{r.d:%d/%m/%Y}", us(r.c), us(r.o), us(r.h), us(r.lo), f"{r.v / 1e6:.2f}M", "0.53%"),
        NEWEST_FIRST,
    ),
    "alpha_vantage": table(
        "timestamp,open,high,low,close,volume",
        lambda r: f"{r.d},{r.o:.4f},{r.h:.4f},{r.lo:.4f},{r.c:.4f},{r.v}",
        NEWEST_FIRST,
        "\r\n",
    ),
    "alpha_vantage_adjusted": table(
        "timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient",
        lambda r: f"{r.d},{r.o:.4f},{r.h:.4f},{r.lo:.4f},{r.c:.4f},{r.c / 2:.4f},{r.v},0.0000,1.0",
        NEWEST_FIRST,
        "\r\n",
    ),
    "alpha_vantage_pandas": table(
        "date,1. open,2. high,3. low,4. close,5. volume",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{float(r.v)}",
        NEWEST_FIRST,
    ),
    "alpha_vantage_pandas_index": table(
        ",1. open,2. high,3. low,4. close,5. adjusted close,6. volume",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.c / 2},{r.v}",
        NEWEST_FIRST,
    ),
    "stooq": table("Date,Open,High,Low,Close,Volume", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}", end="\r\n"),
    "stooq_pl": table(
        "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}",
        end="\r\n",
    ),
    "stooq_bulk": table(
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
        lambda r: f"ABC.US,D,{r.d:%Y%m%d},000000,{r.o},{r.h},{r.lo},{r.c},{r.v},0",
        end="\r\n",
    ),
    "google_finance": "\ufeff"
    + table(
        "Date,Open,High,Low,Close,Volume",
        lambda r: f"{r.d.day}-{r.d:%b-%y},{r.o},{r.h},{r.lo},{r.c},{r.v}",
        NEWEST_FIRST,
    ),
    "google_sheets": table(
        "Date,Open,High,Low,Close,Volume",
        lambda r: f"{r.d.month}/{r.d.day}/{r.d.year} 16:00:00,{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ),
    "tushare": table(
        "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount",
        lambda r: f"600519.SH,{r.d:%Y%m%d},{r.o},{r.h},{r.lo},{r.c},{r.o - 1},1.0,0.1,{r.v / 100},{r.v}.5",
        NEWEST_FIRST,
    ),
    "tiingo": table(
        "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
        lambda r: (
            f"{r.d}T00:00:00.000Z,{r.c},{r.h},{r.lo},{r.o},{r.v},"
            f"{r.c / 4},{r.h / 4},{r.lo / 4},{r.o / 4},{4 * r.v},0.0,1.0"
        ),
    ),
    "tiingo_pandas": table(
        "symbol,date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor",
        lambda r: (
            f"ABC,{r.d} 00:00:00+00:00,{r.c},{r.h},{r.lo},{r.o},{r.v},"
            f"{r.c / 4},{r.h / 4},{r.lo / 4},{r.o / 4},{4 * r.v},0.0,1.0"
        ),
    ),
    "yfinance_history": table(
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
        lambda r: f"{r.d} 00:00:00-05:00,{r.o},{r.h},{r.lo},{r.c},{r.v},0.0,0.0",
    ),
    "yfinance_india": table(
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits",
        lambda r: f"{r.d} 00:00:00+05:30,{r.o},{r.h},{r.lo},{r.c},{r.v},0.0,0.0",
    ),
    "yfinance_three_rows": "Price,Adj Close,Close,High,Low,Open,Volume\nTicker,ABC,ABC,ABC,ABC,ABC,ABC\nDate,,,,,,\n"
    + "".join(f"{r.d},{r.c / 2},{r.c},{r.h},{r.lo},{r.o},{r.v}\n" for r in ROWS),
    "yfinance_reset_index": "Date,Close,High,Low,Open,Volume\n,ABC,ABC,ABC,ABC,ABC\n"
    + "".join(f"{r.d},{r.c},{r.h},{r.lo},{r.o},{r.v}\n" for r in ROWS),
    "yfinance_unnamed_levels": ",Adj Close,Close,High,Low,Open,Volume\n,ABC,ABC,ABC,ABC,ABC,ABC\nDate,,,,,,\n"
    + "".join(f"{r.d},{r.c / 2},{r.c},{r.h},{r.lo},{r.o},{r.v}\n" for r in ROWS),
    "yfinance_by_ticker": "Ticker,ABC,ABC,ABC,ABC,ABC\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n"
    + "".join(f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}\n" for r in ROWS),
    "yfinance_tuples": table(
        "Date,\"('Close', 'ABC')\",\"('High', 'ABC')\",\"('Low', 'ABC')\",\"('Open', 'ABC')\",\"('Volume', 'ABC')\"",
        lambda r: f"{r.d},{r.c},{r.h},{r.lo},{r.o},{r.v}",
    ),
    "quantmod": table(
        '"","ABC.Open","ABC.High","ABC.Low","ABC.Close","ABC.Volume","ABC.Adjusted"',
        lambda r: f'"{r.d}",{r.o},{r.h},{r.lo},{r.c},{r.v},{r.c / 2}',
    ),
    "quandl_wiki": table(
        "Date,Open,High,Low,Close,Volume,Ex-Dividend,Split Ratio,Adj. Open,Adj. High,Adj. Low,Adj. Close,Adj. Volume",
        lambda r: (
            f"{r.d},{r.o},{r.h},{r.lo},{r.c},{float(r.v)},0.0,1.0,{r.o / 4},{r.h / 4},{r.lo / 4},{r.c / 4},{4.0 * r.v}"
        ),
        NEWEST_FIRST,
    ),
    "quandl_nse": table(
        "Date,Open,High,Low,Last,Close,Total Trade Quantity,Turnover (Lacs)",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c - 0.5},{r.c},{float(r.v)},5011.42",
        NEWEST_FIRST,
    ),
    "bse": table(
        "Date,Open Price,High Price,Low Price,Close Price,WAP,No.of Shares,No. of Trades,Total Turnover (Rs.),"
        "Deliverable Quantity,% Deli. Qty to Traded Qty,Spread High-Low,Spread Close-Open",
        lambda r: f"{r.d.day}-{r.d:%B-%Y},{r.o},{r.h},{r.lo},{r.c},{r.c},{r.v},1000,5000000.00,,,8.0,1.0,",
        NEWEST_FIRST,
    ),
    "nse": "\ufeff"
    + table(
        '"Date ","series ","OPEN ","HIGH ","LOW ","PREV. CLOSE ","ltp ","close ","vwap ","52W H ","52W L ","VOLUME ",'
        '"VALUE ","No of trades "',
        lambda r: quoted(
            f"{r.d:%d-%b-%Y}",
            "EQ",
            indian(r.o),
            indian(r.h),
            indian(r.lo),
            us(r.o - 9),
            us(r.c - 0.4),
            indian(r.c),
            us(r.c),
            us(2000),
            us(500),
            f"{r.v:,}",
            "14,584,960,042.70",
            "140,793",
        ),
        NEWEST_FIRST,
    ),
    "nse_bhav": table(
        "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,",
        lambda r: (
            f"ABC,EQ,{r.o},{r.h},{r.lo},{r.c},{r.c - 1},{r.o - 2},{r.v},9999.5,{r.d:%d-%b-%Y},14,INE117A01022,".upper()
        ),
    ),
    "finam_yyyymmdd": table(
        "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
        lambda r: f"ABC;D;{r.d:%Y%m%d};000000;{r.o:.7f};{r.h:.7f};{r.lo:.7f};{r.c:.7f};{r.v}",
        end="\r\n",
    ),
    "finam_ddmmyy": table(
        "<TICKER>;<PER>;<DATE>;<TIME>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
        lambda r: f"ABC;D;{r.d:%d/%m/%y};00:00;{r.o:.7f};{r.h:.7f};{r.lo:.7f};{r.c:.7f};{r.v}",
        end="\r\n",
    ),
    "finam_yymmdd_compact": table(
        "<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>",
        lambda r: f"{r.d:%y%m%d},000000,{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ),
    "finam_ddmmyy_compact": table(
        "<DATE>;<OPEN>;<HIGH>;<LOW>;<CLOSE>;<VOL>",
        lambda r: f"{r.d:%d%m%y};{r.o};{r.h};{r.lo};{r.c};{r.v}",
    ),
    "moex": "history\n\n"
    + table(
        "BOARDID;TRADEDATE;SHORTNAME;SECID;NUMTRADES;VALUE;OPEN;LOW;HIGH;LEGALCLOSEPRICE;WAPRICE;CLOSE;VOLUME",
        lambda r: f"TQBR;{r.d};Компания;ABC;17;1000.5;{r.o};{r.lo};{r.h};{r.c + 1};{r.c};{r.c};{r.v}",
    ),
    "wsj": table(
        "Date, Open, High, Low, Close, Volume",
        lambda r: f"{r.d:%m/%d/%y}, {r.o}, {r.h}, {r.lo}, {r.c}, {r.v}",
        NEWEST_FIRST,
    ),
    "metatrader5": table(
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        lambda r: f"{r.d:%Y.%m.%d}\t{r.o}\t{r.h}\t{r.lo}\t{r.c}\t77\t{r.v}\t3",
    ),
    "ariva": table(
        "Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke;Volumen",
        lambda r: f"{r.d};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)};{r.v};{r.v * 9}",
        NEWEST_FIRST,
    ),
    "boerse_named_months": table(
        "Datum;Eröffnung;Tageshoch;Tagestief;Schluss;Umsatz Stück",
        lambda r: (
            f"{r.d.day}. {MONTHS_DE[r.d.month - 1]} {r.d.year};"
            f"{eu(r.o)} €;{eu(r.h)} €;{eu(r.lo)} €;{eu(r.c)} €;{eu(r.v, 0)}"
        ),
    ),
    "onvista_short": table(
        "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen",
        lambda r: f"{r.d:%d.%m.%Y};{eu_plain(r.o)};{eu_plain(r.h)};{eu_plain(r.lo)};{eu_plain(r.c)};{eu(r.v, 0)}",
    ),
    "boursorama": table(
        "date\touv\thaut\tbas\tclot\tvol\tdevise\t",
        lambda r: f"{r.d:%d/%m/%Y 00:00}\t{r.o}\t{r.h}\t{r.lo}\t{r.c}\t{r.v}\tEUR\t",
    ),
    "french_spaces": table(
        "Date;Ouverture;Plus haut;Plus bas;Clôture;Volume",
        lambda r: ";".join(
            [
                f"{r.d:%d/%m/%Y}",
                *(us(x).replace(",", "\u202f").replace(".", ",") for x in r[1:5]),
                f"{r.v:,}".replace(",", " "),
            ]
        ),
    ),
    "swiss": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schlusskurs;Volumen",
        lambda r: ";".join(
            [f"{r.d:%d.%m.%Y}", *(us(x).replace(",", "'") for x in r[1:5]), f"{r.v:,}".replace(",", "'")]
        ),
    ),
    "spain": table(
        "Fecha;Apertura;Máximo;Mínimo;Cierre;Volumen",
        lambda r: f"{r.d:%d/%m/%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)};{eu(r.v, 0)}",
    ),
    "brazil": table(
        "data;codigo;abertura;maxima;minima;fechamento;vol_quantidade",
        lambda r: f"{r.d};ABC3;{eu_plain(r.o)};{eu_plain(r.h)};{eu_plain(r.lo)};{eu_plain(r.c)};{r.v}",
        NEWEST_FIRST,
        "\r\n",
    ),
    "turkey": table(
        "Tarih;Aç\u0131l\u0131ş;En Yüksek;En Düşük;Kapan\u0131ş;Hacim",
        lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)};{eu(r.v, 0)}",
    ),
    "gpw": table(
        "Data,Nazwa,ISIN,Waluta,Kurs otwarcia,Kurs max,Kurs min,Kurs zamknięcia,Zmiana,Wolumen",
        lambda r: f"{r.d:%d-%m-%Y},ABC,PL0000,PLN,{r.o},{r.h},{r.lo},{r.c},0.5,{r.v}",
    ),
    "china_netease": table(
        "日期,股票代码,名称,收盘价,最高价,最低价,开盘价,前收盘,涨跌额,涨跌幅,换手率,成交量,成交金额",
        lambda r: f"{r.d},'600519,某某股份,{r.c},{r.h},{r.lo},{r.o},{r.o - 1},1.0,0.1,0.2,{r.v},1.5e9",
        NEWEST_FIRST,
    ),
    "china_gbk": table(
        "日期,开盘,最高,最低,收盘,成交量",
        lambda r: f"{r.d:%Y/%m/%d},{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ).encode("gb18030"),
    "taiwan_big5_minguo": table(
        '"日期","成交股數","成交金額","開盤價","最高價","最低價","收盤價","漲跌價差","成交筆數"',
        lambda r: (
            quoted(
                f"{r.d.year - 1911}/{r.d:%m/%d}",
                f"{r.v:,}",
                "9,999,999",
                us(r.o),
                us(r.h),
                us(r.lo),
                us(r.c),
                "+1.00",
                "55",
            )
            + ","
        ),
    ).encode("big5"),
    "japan_sjis": table(
        "日付,始値,高値,安値,終値,出来高",
        lambda r: f"{r.d.year}/{r.d.month}/{r.d.day},{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ).encode("cp932"),
    "krx_euckr": table(
        '"일자","종가","대비","등락률","시가","고가","저가","거래량","거래대금"',
        lambda r: quoted(f"{r.d:%Y/%m/%d}", r.c, "1.0", "0.1", r.o, r.h, r.lo, r.v, 10 * r.v),
        NEWEST_FIRST,
    ).encode("cp949"),
    "russia_cp1251": table(
        "Дата;Открытие;Максимум;Минимум;Закрытие;Объем",
        lambda r: f"{r.d:%d.%m.%Y};{eu_plain(r.o)};{eu_plain(r.h)};{eu_plain(r.lo)};{eu_plain(r.c)};{r.v}",
    ).encode("cp1251"),
    "germany_cp1252": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schluß;Stücke",
        lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)};{r.v}",
    ).encode("cp1252"),
    "excel_unicode_text": table(
        "Date\tOpen\tHigh\tLow\tClose\tVolume",
        lambda r: f'{r.d.month}/{r.d.day}/{r.d.year}\t"{us(r.o)}"\t"{us(r.h)}"\t"{us(r.lo)}"\t"{us(r.c)}"\t"{r.v:,}"',
        end="\r\n",
    ).encode("utf-16"),
    "utf16_be": ("\ufeff" + table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}")).encode(
        "utf-16-be"
    ),
    "utf16_without_mark": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}").encode(
        "utf-16-le"
    ),
    "gzip_without_the_name": gzip.compress(
        table("Date,Open,High,Low,Close,Volume", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}").encode()
    ),
    "gzip_two_members": b"".join(
        gzip.compress(part.encode())
        for part in table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}").splitlines(
            keepends=True
        )
    ),
    "excel_sep_line": "sep=;\r\n"
    + table("Date;Open;High;Low;Close", lambda r: f"{r.d};{r.o};{r.h};{r.lo};{r.c}", end="\r\n"),
    "excel_serials": table(
        "Date,Open,High,Low,Close,Volume",
        lambda r: f"{(r.d - date(1899, 12, 30)).days},{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ),
    "old_mac_line_ends": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}", end="\r"),
    "doubled_line_ends": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}", end="\r\r\n"),
    "blank_lines": table(
        "Date,Open,High,Low,Close,Volume", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}", end="\n\n"
    ),
    "blank_rows_of_commas": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}")
    + ",,,,\n,,,,\n",
    "dos_end_of_file": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}", end="\r\n")
    + "\x1a",
    "cryptodatadownload": "https://www.CryptoDataDownload.com\n"
    + table(
        "unix,date,symbol,open,high,low,close,Volume ABC,Volume USD",
        lambda r: f"{unix(r.d)},{r.d} 00:00:00,ABC/USD,{r.o},{r.h},{r.lo},{r.c},{r.v},{9 * r.v}",
        NEWEST_FIRST,
    ),
    "coinmarketcap": table(
        "timeOpen;timeClose;timeHigh;timeLow;name;open;high;low;close;volume;marketCap;timestamp",
        lambda r: (
            f'"{r.d}T00:00:00.000Z";"{r.d}T23:59:59.999Z";"{r.d}T05:00:00.000Z";"{r.d}T06:00:00.000Z";"2781";'
            f'{r.o};{r.h};{r.lo};{r.c};{r.v};1e9;"{r.d}T23:59:59.999Z"'
        ),
        NEWEST_FIRST,
    ),
    "tradingview_unix": table(
        "time,open,high,low,close,Volume", lambda r: f"{unix(r.d, 14, 30)},{r.o},{r.h},{r.lo},{r.c},{r.v}"
    ),
    "tradingview_iso": table(
        "time,open,high,low,close,Volume", lambda r: f"{r.d}T14:30:00Z,{r.o},{r.h},{r.lo},{r.c},{r.v}"
    ),
    "binance_klines": table(
        "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
        "Taker buy base,Taker buy quote,Ignore",
        lambda r: f"{unix(r.d)}000,{r.o},{r.h},{r.lo},{r.c},{r.v},{unix(r.d) + 86399}999,1.5,10,1.0,2.0,0",
    ),
    "polygon": table("v,vw,o,c,h,l,t,n", lambda r: f"{r.v},{r.c},{r.o},{r.c},{r.h},{r.lo},{unix(r.d, 5)}000,100"),
    "alpaca": table(
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap",
        lambda r: f"ABC,{r.d} 05:00:00+00:00,{r.o},{r.h},{r.lo},{r.c},{r.v},10,{r.c}",
    ),
    "eodhd": table(
        "Date,Open,High,Low,Close,Adjusted_close,Volume",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.c / 2},{r.v}",
    ),
    "fmp": table(
        "date,open,high,low,close,adjClose,volume,unadjustedVolume,change,changePercent,vwap,label,changeOverTime",
        lambda r: f'{r.d},{r.o},{r.h},{r.lo},{r.c},{r.c / 2},{r.v},{r.v},1,1,{r.c},"{r.d:%B %d, %y}",0.1',
        NEWEST_FIRST,
    ),
    "bloomberg": table(
        "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME",
        lambda r: f"{r.d.month}/{r.d.day}/{r.d.year},{r.o},{r.h},{r.lo},{r.c},{r.v}",
    ),
    "barchart": table(
        "Time,Open,High,Low,Last,Change,%Chg,Volume",
        lambda r: f"{r.d:%m/%d/%Y},{r.o},{r.h},{r.lo},{r.c},1.0,+0.1%,{r.v}",
        NEWEST_FIRST,
    )
    + '"Downloaded from Barchart.com as of 01-22-2024 04:15am CST"\n',
    "weekday_prefix": table("Date,Open,High,Low,Close", lambda r: f'"{r.d:%a, %d %b %Y}",{r.o},{r.h},{r.lo},{r.c}'),
    "japan_weekday": table(
        "日付,始値,高値,安値,終値",
        lambda r: f"{r.d:%Y/%m/%d}({'月火水木金土日'[r.d.weekday()]}),{r.o},{r.h},{r.lo},{r.c}",
    ),
    "korea_dotted": table(
        "날짜\t시가\t고가\t저가\t종가\t거래량",
        lambda r: f"{r.d:%Y.%m.%d}\t{us(r.o)}\t{us(r.h)}\t{us(r.lo)}\t{us(r.c)}\t{r.v:,}",
    ),
    "portuguese_months": table(
        "Data;Abertura;Máxima;Mínima;Fechamento",
        lambda r: (
            f"{r.d.day} de {'jan' if r.d.month == 1 else 'dez'}. de {r.d.year};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}"
        ),
    ),
    "pipes": table("Date|Open|High|Low|Close|Volume", lambda r: f"{r.d}|{r.o}|{r.h}|{r.lo}|{r.c}|{r.v}"),
    "title_above": "ABC Corp. - daily prices\nCurrency: USD\n\n"
    + table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}"),
    "pandas_index": table(
        "Unnamed: 0,Date,Open,High,Low,Close", lambda r: f"{r.d.toordinal()},{r.d},{r.o},{r.h},{r.lo},{r.c}"
    ),
    "scientific": table(
        "Date,Open,High,Low,Close,Volume", lambda r: f"{r.d},{r.o:.6e},{r.h:.6e},{r.lo:.6e},{r.c:.6e},{r.v:.6E}"
    ),
    "formula_free_null_row": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}")
    + "2024-01-19,null,null,null,null\n",
    "no_close_no_volume": table("Date,Open,High,Low", lambda r: f"{r.d},{r.o},{r.h},{r.lo}"),
    "yahoo_page_with_events": table(
        "Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\tAdj Close Adjusted close price.\tVolume",
        lambda r: (
            f"{r.d:%b} {r.d.day}, {r.d.year}\t{us(r.o)}\t{us(r.h)}\t{us(r.lo)}\t{us(r.c)}\t{us(r.c / 2)}\t{r.v:,}"
            + (f"\n{r.d:%b} {r.d.day}, {r.d.year}\t0.24 Dividend" if r.d.day == 2 else "")
            + (f"\n{r.d:%b} {r.d.day}, {r.d.year}\t4:1 Stock Splits" if r.d.day == 20 else "")
        ),
        NEWEST_FIRST,
    ),
    "yahoo_scraped_with_events": table(
        "Date,Open,High,Low,Close*,Adj Close**,Volume",
        lambda r: (
            f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.c / 2},{r.v}"
            + (f"\n{r.d}" + ",0.24 Dividend" * 6 if r.d.day == 2 else "")
            + (f"\n{r.d},0.24 Dividend,,,,," if r.d.day == 3 else "")
        ),
    ),
    "nse_delivery": table(
        "SYMBOL, SERIES, DATE1, PREV_CLOSE, OPEN_PRICE, HIGH_PRICE, LOW_PRICE, LAST_PRICE, CLOSE_PRICE, TTL_TRD_QNTY",
        lambda r: f"ABC, EQ, {r.d:%d-%b-%Y}, {r.o - 3:.2f}, {r.o}, {r.h}, {r.lo}, {r.c - 1}, {r.c}, {r.v}",
    ),
    "nse_udiff": table(
        "TradDt,BizDt,TckrSymb,SctySrs,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,OpnIntrst,TtlTradgVol",
        lambda r: f"{r.d},{r.d},ABC,EQ,{r.o},{r.h},{r.lo},{r.c},{r.c - 1},{r.o - 2},,{r.v}",
    ),
    "crsp": table(
        "PERMNO,date,TICKER,BIDLO,ASKHI,PRC,VOL,RET,OPENPRC",
        lambda r: f"14593,{r.d:%d%b%Y},ABC,{r.lo},{r.h},{r.c},{r.v},0.01,{r.o}",
    ),
    "compustat": table(
        "gvkey,iid,datadate,tic,cshtrd,prccd,prchd,prcld,prcod",
        lambda r: f"001690,01,{r.d:%d/%m/%Y},ABC,{r.v},{r.c},{r.h},{r.lo},{r.o}",
    ),
    "refinitiv_fields": table(
        "Date,TRDPRC_1,HIGH_1,LOW_1,OPEN_PRC,ACVOL_UNS,BID,ASK",
        lambda r: f"{r.d},{r.c},{r.h},{r.lo},{r.o},{r.v},{r.c - 0.01},{r.c + 0.01}",
    ),
    "polygon_flat_file": table(
        "ticker,volume,open,close,high,low,window_start,transactions",
        lambda r: f"ABC,{r.v},{r.o},{r.c},{r.h},{r.lo},{unix(r.d, 5)}000000000,9",
    ),
    "coindesk": table(
        "Currency,Date,Closing Price (USD),24h Open (USD),24h High (USD),24h Low (USD)",
        lambda r: f"BTC,{r.d},{r.c},{r.o},{r.h},{r.lo}",
    ),
    "coincodex": table(
        "Start,End,Open,High,Low,Close,Volume,Market Cap",
        lambda r: f"{r.d},{r.d + timedelta(days=1)},{r.o},{r.h},{r.lo},{r.c},{r.v},1e12",
    ),
    "currency_behind_the_names": table(
        "date,open_usd,high_usd,low_usd,close_usd,volume_usd", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}"
    ),
    "tonghuashun": table(
        "时间\t开盘\t最高\t最低\t收盘\t总手",
        lambda r: f"{r.d},{'一二三四五'[r.d.weekday()]}\t{r.o}\t{r.h}\t{r.lo}\t{r.c}\t{r.v:,}",
    ).encode("gb18030"),
    "euronext_marks_of_text": table(
        "Date;Open;High;Low;Last;Close", lambda r: f"'{r.d:%d/%m/%Y};{r.o};{r.h};{r.lo};{r.c - 1};{r.c}"
    ),
    "croatia": table(
        "Datum;Otvaranje;Najviša;Najniža;Zatvaranje",
        lambda r: f"{r.d:%d.%m.%Y}.;{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}",
    ),
    "japan_euc": table("日付,始値,高値,安値,終値", lambda r: f"{r.d:%Y/%m/%d},{r.o},{r.h},{r.lo},{r.c}").encode(
        "euc_jp"
    ),
    "germany_mac": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schluß", lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}"
    ).encode("mac_roman"),
    "germany_dos": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schluß", lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}"
    ).encode("cp850"),
    "moex_with_its_cursor": "history\n\n"
    + table("TRADEDATE;SECID;OPEN;LOW;HIGH;CLOSE;VOLUME", lambda r: f"{r.d};ABC;{r.o};{r.lo};{r.h};{r.c};{r.v}")
    + "\nhistory.cursor\n\nINDEX;TOTAL;PAGESIZE\n0;24;100\n",
    "yfinance_ticker_that_is_a_unit": "Price,Close,High,Low,Open,Volume\nTicker,M,M,M,M,M\nDate,,,,,\n"
    + "".join(f"{r.d},{r.c},{r.h},{r.lo},{r.o},{r.v}\n" for r in ROWS),
    "footer_in_the_first_field": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}")
    + "Source: a vendor,,,,\n",
    "robinhood": table(
        "begins_at,open_price,close_price,high_price,low_price,volume,session,interpolated,symbol",
        lambda r: f"{r.d}T00:00:00Z,{r.o},{r.c},{r.h},{r.lo},{r.v},reg,False,ABC",
    ),
    "databento": table(
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
        lambda r: f"{r.d}T00:00:00.000000000Z,35,2,32,{r.o:.9f},{r.h:.9f},{r.lo:.9f},{r.c:.9f},{r.v},ABC",
    ),
    "budapest": table(
        "Dátum;Nyitó ár;Maximum ár;Minimum ár;Záró ár;Forgalom (db)",
        lambda r: f"{r.d:%Y.%m.%d}.;{eu_plain(r.o)};{eu_plain(r.h)};{eu_plain(r.lo)};{eu_plain(r.c)};{r.v}",
    ),
    "investing_malay": table(
        '"Tarikh","Harga","Buka","Tinggi","Rendah","Jumlah","Perubahan %"',
        lambda r: f'"{r.d:%d/%m/%Y}","{us(r.c)}","{us(r.o)}","{us(r.h)}","{us(r.lo)}","{r.v / 1e6:.2f}M","0.53%"',
    ),
    "investing_hindi": table(
        '"तारीख","अंतिम","ओपन","उच्च","निम्न","वॉल्यूम","% बदलाव"',
        lambda r: f'"{r.d:%d-%m-%Y}","{us(r.c)}","{us(r.o)}","{us(r.h)}","{us(r.lo)}","{r.v / 1e6:.2f}M","0.53%"',
    ),
    "cp1252_currency": table("Date;Open;High;Low;Close", lambda r: f"{r.d};£{r.o};£{r.h};£{r.lo};£{r.c}").encode(
        "cp1252"
    ),
}

NO_CLOSE = {"no_close_no_volume"}
TICKER = {
    "stooq_bulk": "ABC.US",
    "tushare": "600519.SH",
    "brazil": "ABC3",
    "china_netease": "'600519",
    "cryptodatadownload": "ABC/USD",
    "coinmarketcap": "2781",
    "yfinance_ticker_that_is_a_unit": "M",
} | dict.fromkeys(
    [
        "tiingo_pandas", "yfinance_three_rows", "yfinance_reset_index", "yfinance_unnamed_levels", "yfinance_by_ticker",
        "yfinance_tuples", "quantmod", "nse_bhav", "finam_yyyymmdd", "finam_ddmmyy", "moex", "alpaca",
        "nse_delivery", "nse_udiff", "crsp", "compustat", "polygon_flat_file", "moex_with_its_cursor", "robinhood",
        "databento",
    ],
    "ABC",
)  # fmt: skip


DECLARED: dict[str, dict[str, object]] = {
    "finam_yymmdd_compact": {"date_format": "%y%m%d"},
    "finam_ddmmyy_compact": {"date_format": "%d%m%y"},
    "taiwan_big5_minguo": {"encoding": "big5", "date_order": "ymd", "add_years": 1911},
    "japan_euc": {"encoding": "euc_jp"},
    "germany_mac": {"encoding": "mac_roman"},
    "germany_dos": {"encoding": "cp850"},
}
"""What is so rare that it has to be declared."""


def write(vendor: str, folder: Path) -> Path:
    content = V[vendor]
    path = folder / f"{vendor}.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("vendor", DECLARED)
def test_rare_format_is_refused_with_the_key_that_declares_it(vendor: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(DECLARED[vendor]))):
        read_prices(write(vendor, tmp_path))


@pytest.mark.parametrize("vendor", V)
def test_vendors_file_is_read_right(vendor: str, tmp_path: Path) -> None:
    read = read_prices(write(vendor, tmp_path), format=DECLARED.get(vendor))

    assert read.refused == ()
    prices = read.prices
    assert set(prices["ticker"]) == {TICKER.get(vendor, vendor)}
    assert [when.date() for when in prices["date"]] == [row.d for row in ROWS]
    for name, place in (("open", 1), ("high", 2), ("low", 3)):
        assert prices[name].tolist() == pytest.approx([row[place] for row in ROWS], abs=1e-9), name
    if vendor not in NO_CLOSE:
        assert prices["close"].tolist() == pytest.approx([row.c for row in ROWS], abs=1e-9)
