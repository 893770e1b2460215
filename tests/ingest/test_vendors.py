"""Vendors who write in English: each file is read right, whoever wrote it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from vendor_cases import NEWEST_FIRST, indian, quoted, read_right, table, unix, us, write

FILES: dict[str, str | bytes] = {
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
    "wsj": table(
        "Date, Open, High, Low, Close, Volume",
        lambda r: f"{r.d:%m/%d/%y}, {r.o}, {r.h}, {r.lo}, {r.c}, {r.v}",
        NEWEST_FIRST,
    ),
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
    "robinhood": table(
        "begins_at,open_price,close_price,high_price,low_price,volume,session,interpolated,symbol",
        lambda r: f"{r.d}T00:00:00Z,{r.o},{r.c},{r.h},{r.lo},{r.v},reg,False,ABC",
    ),
    "databento": table(
        "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol",
        lambda r: f"{r.d}T00:00:00.000000000Z,35,2,32,{r.o:.9f},{r.h:.9f},{r.lo:.9f},{r.c:.9f},{r.v},ABC",
    ),
}

TICKER = {"stooq_bulk": "ABC.US", "cryptodatadownload": "ABC/USD", "coinmarketcap": "2781"} | dict.fromkeys(
    [
        "tiingo_pandas",
        "nse_bhav",
        "alpaca",
        "nse_delivery",
        "nse_udiff",
        "crsp",
        "compustat",
        "polygon_flat_file",
        "robinhood",
        "databento",
    ],
    "ABC",
)


@pytest.mark.parametrize("name", FILES)
def test_file_is_read_right(name: str, tmp_path: Path) -> None:
    read_right(write(FILES[name], name, tmp_path), TICKER.get(name))
