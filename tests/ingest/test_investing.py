"""One vendor in twenty languages: its names, dates and numbers are read right in each."""

from __future__ import annotations

from pathlib import Path

import pytest
from vendor_cases import NEWEST_FIRST, Row, eu, quoted, read_right, table, us, write

# A file's language: date, close, open, high, low, volume and change as it calls them, and how it writes dates.
POINT = {
    "us": ("Date|Price|Open|High|Low|Vol.|Change %", "%m/%d/%Y"),
    "old": ("Date|Price|Open|High|Low|Vol.|Change %", "%b %d, %Y"),
    "jp": ("日付け|終値|始値|高値|安値|出来高|変化率 %", "%Y年%m月%d日"),
    "kr": ("날짜|종가|시가|고가|저가|거래량|변동 %", "%Y- %m- %d"),
    "cn": ("日期|收盘|开盘|高|低|交易量|涨跌幅", "%Y-%m-%d"),
    "vn": ("Ngày|Lần cuối|Mở|Cao|Thấp|KL|% Thay đổi", "%d/%m/%Y"),
    "malay": ("Tarikh|Harga|Buka|Tinggi|Rendah|Jumlah|Perubahan %", "%d/%m/%Y"),
    "hindi": ("तारीख|अंतिम|ओपन|उच्च|निम्न|वॉल्यूम|% बदलाव", "%d-%m-%Y"),
}
COMMA = {
    "de": ("Datum|Zuletzt|Eröffn.|Hoch|Tief|Vol.|+/- %", "%d.%m.%Y"),
    "fr": ("Date|Dernier|Ouv.| Plus Haut|Plus Bas|Vol.|Variation %", "%d/%m/%Y"),
    "es": ("Fecha|Último|Apertura|Máximo|Mínimo|Vol.|% var.", "%d.%m.%Y"),
    "pt": ("Data|Último|Abertura|Máxima|Mínima|Vol.|Var%", "%d.%m.%Y"),
    "it": ("Data|Ultimo|Apertura|Massimo|Minimo|Vol.|Var. %", "%d.%m.%Y"),
    "tr": ("Tarih|Şimdi|Aç\u0131l\u0131ş|Yüksek|Düşük|Hac.|Fark %", "%d.%m.%Y"),
    "pl": ("Data|Ostatnio|Otwarcie|Max.|Min.|Wol.|Zmiana%", "%d.%m.%Y"),
    "ru": ("Дата|Цена|Откр.|Макс.|Мин.|Объём|Изм. %", "%d.%m.%Y"),
    "nl": ("Datum|Laatste|Open|Hoog|Laag|Vol.|Verschil %", "%d-%m-%Y"),
    "se": ("Datum|Senaste|Öppen|Högst|Lägst|Vol.|+/- %", "%Y-%m-%d"),
    "id": ("Tanggal|Terakhir|Pembukaan|Tertinggi|Terendah|Vol.|Perubahan%", "%d/%m/%Y"),
}
VOLUMES = {"old": "-"}


def file(language: str) -> str:
    (names, form), number = (POINT[language], us) if language in POINT else (COMMA[language], eu)

    def line(row: Row) -> str:
        prices = (number(price) for price in (row.c, row.o, row.h, row.lo))
        volume = VOLUMES.get(language, f"{number(row.v / 1e6)}M")
        return quoted(f"{row.d:{form}}", *prices, volume, f"{number(-0.53)}%")

    return "\ufeff" + table(quoted(*names.split("|")), line, NEWEST_FIRST)


@pytest.mark.parametrize("language", [*POINT, *COMMA])
def test_file_is_read_right(language: str, tmp_path: Path) -> None:
    read_right(write(file(language), language, tmp_path))
