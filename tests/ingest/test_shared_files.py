"""The shared files, each read, refused or warned of as its table of expectations says."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from forecasting.commands.check import FileReport, check_files
from forecasting.errors import InputError
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.prices import read_prices

SHARED = Path(__file__).resolve().parents[3] / "shared"
DIRTY, REAL = SHARED / "dirty_prices", SHARED / "real_files"


def _dirty() -> list[dict[str, str]]:
    if not (DIRTY / "EXPECT.tsv").exists():
        return []
    with (DIRTY / "EXPECT.tsv").open(encoding="utf-8") as handle:
        return [one for one in csv.DictReader(handle, delimiter="\t") if (DIRTY / one["file"]).exists()]


def _summary(prices: pd.DataFrame) -> tuple[int, str, float, str, float]:
    first, last = prices.iloc[0], prices.iloc[-1]
    return len(prices), str(first["date"].date()), first["open"], str(last["date"].date()), last["open"]


def _lines_named(text: str) -> set[int]:
    """The lines that a text names: ``lines 5-13``, ``line 22``, ``lines 7 and 9``."""
    named: set[int] = set()
    for group in re.findall(r"lines? ((?:\d+(?:-\d+)?(?:, | and )?)+)", text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", group):
            named |= set(range(int(first), int(last or first) + 1))
    return named


@pytest.mark.skipif(not DIRTY.exists(), reason="the shared files are not here")
@pytest.mark.parametrize("expected", _dirty(), ids=lambda one: one["file"])
def test_shared_files_are_read_or_refused_as_dirty(expected: dict[str, str]) -> None:
    if expected["expect"].startswith("reject"):
        with pytest.raises(InputError) as caught:
            read_prices(DIRTY / expected["file"])
        wanted = _lines_named(expected["expect"].split(";")[0])
        assert not wanted or wanted & _lines_named(str(caught.value)), str(caught.value)
        return
    prices = read_prices(DIRTY / expected["file"]).prices
    for ticker, own in prices.groupby("ticker"):
        read = _summary(own)
        if "tickers" in expected["expect"]:
            # The table gives AAPL's last High for its last Open; the file says 159.33.
            assert (ticker, *read) in {
                ("AAPL", 10, "2013-02-08", 151.85, "2013-02-21", 159.33),
                ("AMZN", 10, "2013-02-08", 299.12, "2013-02-21", 295.37),
            }
            continue
        count, first, first_open, last, last_open = re.findall(
            r"(\d+) rows, ([\d-]+), ([\d.]+), ([\d-]+), ([\d.]+)", expected["expect"]
        )[0]
        assert read == (int(count), first, float(first_open), last, float(last_open))


def expected() -> list[dict[str, str]]:
    if not (REAL / "EXPECT.tsv").exists():
        return []
    with (REAL / "EXPECT.tsv").open(encoding="utf-8") as handle:
        return [one for one in csv.DictReader(handle, delimiter="\t") if (REAL / one["file"]).is_file()]


def read_as(report: FileReport, one: dict[str, str]) -> bool:
    ticker = next(iter(report.tickers.values()))
    figures = {name: getattr(ticker, name) for name in ("rows", "first_date", "first_open", "last_date", "last_open")}
    return all(not one[name] or str(value) == one[name] or value == float(one[name]) for name, value in figures.items())


@pytest.mark.skipif(not REAL.exists(), reason="the shared files are not here")
@pytest.mark.parametrize("one", expected(), ids=lambda one: one["file"])
def test_shared_file_is_read_refused_or_warned_of_as_expected(one: dict[str, str]) -> None:
    (report,) = check_files([REAL / one["file"]])
    said = json.loads(report.as_json())
    allowed, words = one["allow"].split(), re.compile(one["words"], re.IGNORECASE)
    if not said["ok"]:
        message = said["error"].replace(str(REAL / one["file"]), "")
        assert "refuse" in allowed
        assert words.search(message), message
        return
    warnings = [
        warning.replace(str(REAL / one["file"]), "") for it in said["tickers"].values() for warning in it["warnings"]
    ]
    warned = "warn" in allowed and any(map(words.search, warnings))
    assert warned or ("read" in allowed and read_as(report, one)), said


DECLARED: dict[str, dict[str, object]] = {
    "s01_tv_epoch_session_starts_evening_before.csv": {"zone": "Asia/Tokyo", "session_opens": "16:30"},
    "s03_tsetmc_open_is_yesterday.csv": {"columns": {"open": "FIRST"}},
    "s05_buddhist_two_digit_english_header.csv": {"date_order": "dmy", "add_years": 1957},
    "s07_thousand_dots_english_header.csv": {"decimal": "comma"},
    "s19_two_digit_years_1930.csv": {"add_years": 1900},
    "s24_trade_date_beside_settlement_date.csv": {"columns": {"date": "Trade Date"}},
    "r16_index_column_without_header.csv": {
        "header": ["date", "open", "high", "low", "close", "volume"],
        "skip_lines": 1,
    },
    "r21_twse_official_two_digit_minguo.csv": {"date_order": "ymd", "add_years": 1911},
}
"""What the messages of the files that are refused ask for."""


@pytest.mark.parametrize("one", [one for one in expected() if one["file"] in DECLARED], ids=lambda one: one["file"])
def test_shared_file_that_is_refused_is_read_right_once_its_format_is_declared(one: dict[str, str]) -> None:
    (refused,) = check_files([REAL / one["file"]])
    assert refused.error is not None
    (report,) = check_files([REAL / one["file"]], format=PriceFormat.model_validate(DECLARED[one["file"]]))
    assert report.error is None
    assert read_as(report, one)
