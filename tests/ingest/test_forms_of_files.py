"""Forms that a file can have, whatever the vendor: encodings, line ends, rows around the header, lines between rows."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import pytest
from vendor_cases import NEWEST_FIRST, ROWS, eu, read_right, table, us, write

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

FILES: dict[str, str | bytes] = {
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
    "weekday_prefix": table("Date,Open,High,Low,Close", lambda r: f'"{r.d:%a, %d %b %Y}",{r.o},{r.h},{r.lo},{r.c}'),
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
    "currency_behind_the_names": table(
        "date,open_usd,high_usd,low_usd,close_usd,volume_usd", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}"
    ),
    "footer_in_the_first_field": table("Date,Open,High,Low,Close", lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c}")
    + "Source: a vendor,,,,\n",
    "cp1252_currency": table("Date;Open;High;Low;Close", lambda r: f"{r.d};£{r.o};£{r.h};£{r.lo};£{r.c}").encode(
        "cp1252"
    ),
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
    "yfinance_ticker_that_is_a_unit": "Price,Close,High,Low,Open,Volume\nTicker,M,M,M,M,M\nDate,,,,,\n"
    + "".join(f"{r.d},{r.c},{r.h},{r.lo},{r.o},{r.v}\n" for r in ROWS),
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
    "germany_mac": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schluß", lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}"
    ).encode("mac_roman"),
    "germany_dos": table(
        "Datum;Eröffnung;Höchst;Tiefst;Schluß", lambda r: f"{r.d:%d.%m.%Y};{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}"
    ).encode("cp850"),
    "moex_with_its_cursor": "history\n\n"
    + table("TRADEDATE;SECID;OPEN;LOW;HIGH;CLOSE;VOLUME", lambda r: f"{r.d};ABC;{r.o};{r.lo};{r.h};{r.c};{r.v}")
    + "\nhistory.cursor\n\nINDEX;TOTAL;PAGESIZE\n0;24;100\n",
    "euronext_marks_of_text": table(
        "Date;Open;High;Low;Last;Close", lambda r: f"'{r.d:%d/%m/%Y};{r.o};{r.h};{r.lo};{r.c - 1};{r.c}"
    ),
}

TICKER = {"yfinance_ticker_that_is_a_unit": "M"} | dict.fromkeys(
    [
        "yfinance_three_rows",
        "yfinance_reset_index",
        "yfinance_unnamed_levels",
        "yfinance_by_ticker",
        "yfinance_tuples",
        "quantmod",
        "moex_with_its_cursor",
    ],
    "ABC",
)


DECLARED: dict[str, dict[str, object]] = {
    "germany_mac": {"encoding": "mac_roman"},
    "germany_dos": {"encoding": "cp850"},
}
"""What is so rare that it has to be declared."""


@pytest.mark.parametrize("name", FILES)
def test_file_is_read_right(name: str, tmp_path: Path) -> None:
    read_right(write(FILES[name], name, tmp_path), TICKER.get(name), DECLARED.get(name))


@pytest.mark.parametrize("name", DECLARED)
def test_rare_format_is_refused_with_the_key_that_declares_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(DECLARED[name]))):
        read_prices(write(FILES[name], name, tmp_path))
