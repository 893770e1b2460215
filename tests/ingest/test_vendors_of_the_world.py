"""Vendors in other languages, with their own dates, numbers and encodings."""

from __future__ import annotations

from pathlib import Path

import pytest
from vendor_cases import NEWEST_FIRST, eu, eu_plain, quoted, read_right, table, us, write

from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices

MONTHS_DE = ["Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez."]

FILES: dict[str, str | bytes] = {
    "stooq_pl": table(
        "Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen",
        lambda r: f"{r.d},{r.o},{r.h},{r.lo},{r.c},{r.v}",
        end="\r\n",
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
    "tonghuashun": table(
        "时间\t开盘\t最高\t最低\t收盘\t总手",
        lambda r: f"{r.d},{'一二三四五'[r.d.weekday()]}\t{r.o}\t{r.h}\t{r.lo}\t{r.c}\t{r.v:,}",
    ).encode("gb18030"),
    "croatia": table(
        "Datum;Otvaranje;Najviša;Najniža;Zatvaranje",
        lambda r: f"{r.d:%d.%m.%Y}.;{eu(r.o)};{eu(r.h)};{eu(r.lo)};{eu(r.c)}",
    ),
    "japan_euc": table("日付,始値,高値,安値,終値", lambda r: f"{r.d:%Y/%m/%d},{r.o},{r.h},{r.lo},{r.c}").encode(
        "euc_jp"
    ),
    "budapest": table(
        "Dátum;Nyitó ár;Maximum ár;Minimum ár;Záró ár;Forgalom (db)",
        lambda r: f"{r.d:%Y.%m.%d}.;{eu_plain(r.o)};{eu_plain(r.h)};{eu_plain(r.lo)};{eu_plain(r.c)};{r.v}",
    ),
    "tushare": table(
        "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount",
        lambda r: f"600519.SH,{r.d:%Y%m%d},{r.o},{r.h},{r.lo},{r.c},{r.o - 1},1.0,0.1,{r.v / 100},{r.v}.5",
        NEWEST_FIRST,
    ),
    "metatrader5": table(
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        lambda r: f"{r.d:%Y.%m.%d}\t{r.o}\t{r.h}\t{r.lo}\t{r.c}\t77\t{r.v}\t3",
    ),
}

TICKER = {"brazil": "ABC3", "china_netease": "'600519", "tushare": "600519.SH"} | dict.fromkeys(
    ["finam_yyyymmdd", "finam_ddmmyy", "moex"], "ABC"
)


DECLARED: dict[str, dict[str, object]] = {
    "finam_yymmdd_compact": {"date_format": "%y%m%d"},
    "finam_ddmmyy_compact": {"date_format": "%d%m%y"},
    "taiwan_big5_minguo": {"encoding": "big5", "date_order": "ymd", "add_years": 1911},
    "japan_euc": {"encoding": "euc_jp"},
}
"""What is so rare that it has to be declared."""


@pytest.mark.parametrize("name", FILES)
def test_file_is_read_right(name: str, tmp_path: Path) -> None:
    read_right(write(FILES[name], name, tmp_path), TICKER.get(name), DECLARED.get(name))


@pytest.mark.parametrize("name", DECLARED)
def test_rare_format_is_refused_with_the_key_that_declares_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=next(iter(DECLARED[name]))):
        read_prices(write(FILES[name], name, tmp_path))
