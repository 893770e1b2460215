"""Reading prices: what is read, what is refused, and that nothing after the as-of date has a say."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested, read_prices

DIRTY = Path(__file__).resolve().parents[3] / "shared" / "dirty_prices"
HEADER = "Date,Open,High,Low,Close,Volume"
FIRST = date(2024, 1, 2)


def row(at: int, scale: float = 1.0) -> str:
    """One session's line: weekdays on end, prices that wander a little."""
    day = FIRST + timedelta(days=at + 2 * ((at + FIRST.weekday()) // 5))
    opened = scale * (100 + at % 7)
    return f"{day},{opened:.2f},{opened * 1.02:.2f},{opened * 0.98:.2f},{opened * 1.01:.2f},{1000 + at}"


def lines(count: int = 20, scale: float = 1.0) -> list[str]:
    return [row(at, scale) for at in range(count)]


def write(path: Path, rows: Sequence[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def long(tickers: dict[str, list[str]]) -> list[str]:
    return [f"{ticker},{line}" for ticker, own in tickers.items() for line in own]


def write_long(path: Path, tickers: dict[str, list[str]], name: str = "Ticker") -> Path:
    return write(path, long(tickers), f"{name},{HEADER}")


# --- the shared files ------------------------------------------------------------------------------------------------


def _expected() -> list[dict[str, str]]:
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
@pytest.mark.parametrize("expected", _expected(), ids=lambda one: one["file"])
def test_shared_files_are_read_or_refused_as_expected(expected: dict[str, str]) -> None:
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


# --- what comes back -------------------------------------------------------------------------------------------------


def test_frame_is_long_sorted_typed_and_unique(tmp_path: Path) -> None:
    write_long(tmp_path / "long.csv", {"ZZZ": lines(9), "AAA": lines(12)[::-1]})

    prices = read_prices(tmp_path / "long.csv").prices

    assert list(prices.columns) == ["ticker", "date", "open", "high", "low", "close", "volume"]
    assert prices["ticker"].dtype == "str"
    assert prices["date"].dtype == "datetime64[s]"
    assert all(prices[name].dtype == "float64" for name in ("open", "high", "low", "close", "volume"))
    assert prices["ticker"].tolist() == ["AAA"] * 12 + ["ZZZ"] * 9
    assert not prices.duplicated(["ticker", "date"]).any()
    assert prices.groupby("ticker")["date"].is_monotonic_increasing.all()


def test_inputs_carry_the_hash_of_the_file_as_it_lies_there(tmp_path: Path) -> None:
    packed = tmp_path / "abc.csv.gz"
    packed.write_bytes(gzip.compress("\n".join([HEADER, *lines()]).encode()))

    (read,) = read_prices(packed).inputs

    assert read.path == str(packed)
    assert read.sha256 == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert read.bytes == packed.stat().st_size


def test_missing_close_and_volume_are_nan(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [line.rsplit(",", 2)[0] for line in lines()], "Date,Open,High,Low")
    assert read_prices(path).prices[["close", "volume"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("name", "ticker"),
    [("BRK.B.csv", "BRK.B"), ("BRK.B.csv.gz", "BRK.B"), ("^GSPC.csv", "^GSPC"), ("abc.CSV", "abc"), ("x.y", "x.y")],
)
def test_ticker_is_the_files_name_where_no_column_says_it(tmp_path: Path, name: str, ticker: str) -> None:
    path = tmp_path / name
    content = "\n".join([HEADER, *lines()]).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert set(read_prices(path).prices["ticker"]) == {ticker}


@pytest.mark.parametrize("name", ["ticker", "Symbol", "NAME", "<TICKER>"])
def test_ticker_column_is_found_in_any_case(tmp_path: Path, name: str) -> None:
    path = write_long(tmp_path / "long.csv", {"A": lines(), "NA": lines(), "null": lines(), "007": lines()}, name)
    assert set(read_prices(path).prices["ticker"]) == {"A", "NA", "null", "007"}


def test_ticker_column_counts_before_symbol_before_name(tmp_path: Path) -> None:
    rows = [f"Some Company,SYM,{line}" for line in lines()]
    path = write(tmp_path / "a.csv", rows, f"Name,Symbol,{HEADER}")
    assert set(read_prices(path).prices["ticker"]) == {"SYM"}


# --- sources ---------------------------------------------------------------------------------------------------------


def test_folder_is_its_csvs_alone(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", lines())
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress("\n".join([HEADER, *lines()]).encode()))
    write(tmp_path / ".hidden.csv", ["rubbish"])
    (tmp_path / "README.md").write_text("# Prices\n")
    (tmp_path / "sub.csv").mkdir()

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"a", "b"}
    assert [Path(one.path).name for one in read.inputs] == ["a.csv.gz", "b.csv"]
    assert read.refused == ()


def test_glob_and_lists_of_paths(tmp_path: Path) -> None:
    for name in ("a1", "a2", "b1"):
        write(tmp_path / f"{name}.csv", lines())
    assert set(read_prices(str(tmp_path / "a*.csv")).prices["ticker"]) == {"a1", "a2"}
    both = [tmp_path / "b1.csv", str(tmp_path / "a*.csv"), tmp_path / "b1.csv"]
    assert set(read_prices(both).prices["ticker"]) == {"a1", "a2", "b1"}


@pytest.mark.parametrize("source", ["none.csv", "none*.csv", "", [], "a\0b"])
def test_nothing_there_is_an_input_error(
    tmp_path: Path, source: str | list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError):
        read_prices(source)


def test_empty_folder_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    with pytest.raises(InputError, match="holds no"):
        read_prices(tmp_path)


def test_bad_file_of_a_folder_is_refused_and_the_others_read(tmp_path: Path) -> None:
    write(tmp_path / "good.csv", lines())
    (tmp_path / "bad.csv").write_text("<html>no</html>")

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"good"}
    assert [(one.ticker, Path(one.file).name, one.error.line) for one in read.refused] == [("bad", "bad.csv", 1)]
    assert len(read.inputs) == 2


def test_bad_ticker_of_a_long_file_is_refused_and_the_others_read(tmp_path: Path) -> None:
    bad = lines()
    bad[7] = bad[7].replace(",", ",oops", 1)
    path = write_long(tmp_path / "long.csv", {"A": lines(), "B": bad, "C": lines()})

    read = read_prices(path)

    assert set(read.prices["ticker"]) == {"A", "C"}
    ((ticker, error),) = [(one.ticker, one.error) for one in read.refused]
    assert (ticker, error.line, error.column) == ("B", 29, "Open")


@pytest.mark.parametrize(
    "broken", ["2024-01-05,99", "not a date,1,2,0.5,1,9", "2024-01-05,9,8,10,9,1", "2024-01-05,0,0,0,0,0"]
)
def test_one_tickers_broken_row_leaves_the_others_alone(tmp_path: Path, broken: str) -> None:
    alone = read_prices(write_long(tmp_path / "alone.csv", {"A": lines(), "C": lines()}))
    both = read_prices(write_long(tmp_path / "both.csv", {"A": lines(), "B": [*lines(), broken], "C": lines()}))
    assert [one.ticker for one in both.refused] == ["B"]
    pd.testing.assert_frame_equal(both.prices, alone.prices)


def test_nothing_usable_at_all_raises_the_first_reason(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row(0).replace(",", ",x", 1)])
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(InputError, match=r"a\.csv, line 2, column Open"):
        read_prices(tmp_path)


def test_ticker_in_two_files_is_refused_and_the_others_read(tmp_path: Path) -> None:
    write_long(tmp_path / "1.csv", {"A": lines(), "B": lines()})
    write_long(tmp_path / "2.csv", {"B": lines(), "C": lines()})

    read = read_prices(tmp_path)

    assert set(read.prices["ticker"]) == {"A", "C"}
    assert [one.ticker for one in read.refused] == ["B"]


def test_only_the_tickers_asked_for(tmp_path: Path) -> None:
    path = write_long(tmp_path / "long.csv", {"A": lines(), "B": ["rubbish,1,2,3,4,5"], "C": lines()})
    (tmp_path / "D.csv").write_text("{}")

    read = read_prices(tmp_path, tickers=["A", "X"])

    assert set(read.prices["ticker"]) == {"A"}
    assert [one.ticker for one in read.refused] == ["X"]
    assert read_prices(path, tickers=["C"]).refused == ()
    with pytest.raises(InputError, match="none of the files"):
        read_prices(path, tickers=["X"])


@pytest.mark.parametrize("name", ["", "A\x07B", "x" * 65, "\u202eLPAA"])
def test_names_that_cannot_be_tickers_are_refused(tmp_path: Path, name: str) -> None:
    read = read_prices(write_long(tmp_path / "long.csv", {"A": lines(), name: lines()}))
    assert set(read.prices["ticker"]) == {"A"}
    (refusal,) = read.refused
    assert refusal.error.line == 22
    assert refusal.ticker is None or refusal.ticker.isprintable()


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "CON", "=1+1", "<script>alert(1)</script>", "Ä", "株", "a b", "nan"]
)
def test_odd_names_are_data(tmp_path: Path, name: str) -> None:
    read = read_prices(write_long(tmp_path / "long.csv", {name: lines()}))
    assert set(read.prices["ticker"]) == {name}


# --- findings --------------------------------------------------------------------------------------------------------


def _messages(read: Ingested) -> str:
    return "\n".join(finding.message for finding in read.findings)


def test_identical_rows_are_set_aside_with_their_lines(tmp_path: Path) -> None:
    read = read_prices(write(tmp_path / "a.csv", [*lines(), row(3), row(4)]))
    assert len(read.prices) == 20
    (finding,) = read.findings
    assert (finding.ticker, finding.kind, finding.rows) == ("a", "set_aside", 2)
    assert "lines 22-23" in finding.message


def test_conflicting_rows_of_a_day_are_refused(tmp_path: Path) -> None:
    other = row(3).replace(",103.00,", ",103.01,")
    with pytest.raises(InputError, match=r"lines 5, 22"):
        read_prices(write(tmp_path / "a.csv", [*lines(), other]))


def test_volume_never_refuses(tmp_path: Path) -> None:
    rows = lines()
    rows[4] = rows[4].rsplit(",", 1)[0] + ",lots"
    rows[5] = rows[5].rsplit(",", 1)[0] + ",-5"
    rows[6] = rows[6].rsplit(",", 1)[0] + ","
    rows[7] = rows[7].rsplit(",", 1)[0] + ",inf"
    read = read_prices(write(tmp_path / "a.csv", [*rows, row(3).rsplit(",", 1)[0] + ",7"]))
    assert np.flatnonzero(read.prices["volume"].isna()).tolist() == [3, 4, 5, 6, 7]
    assert {line for line in (5, 6, 7, 9) if str(line) in _messages(read)} == {5, 6, 7, 9}


def test_close_on_another_basis_is_kept_and_reported(tmp_path: Path) -> None:
    rows = [line.rsplit(",", 2)[0] + ",250.0,9" if at < 5 else line for at, line in enumerate(lines())]
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert read.prices["close"].tolist()[:5] == [250.0] * 5
    assert "lines 2-6" in _messages(read)


def test_broken_close_is_taken_as_missing_and_reported(tmp_path: Path) -> None:
    rows = lines()
    for at, close in ((3, "x"), (4, "0"), (5, "inf"), (6, "-1")):
        parts = rows[at].split(",")
        rows[at] = ",".join([*parts[:4], close, parts[5]])
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert np.flatnonzero(read.prices["close"].isna()).tolist() == [3, 4, 5, 6]
    assert "line 5" in _messages(read)


def test_last_row_that_is_a_running_days_snapshot_is_reported(tmp_path: Path) -> None:
    read = read_prices(write(tmp_path / "a.csv", [*lines(), "2024-02-03,100,100,100,100,0"]))
    assert len(read.prices) == 21
    assert "snapshot" in _messages(read)
    assert "weekend" in _messages(read)


def test_rare_slips_of_a_long_history_are_set_aside_and_reported(tmp_path: Path) -> None:
    rows = lines(600)
    day, opened, high, low, close, volume = rows[300].split(",")
    rows[300] = f"{day},{opened},{low},{high},{close},{volume}"
    rows[310] = ",".join([rows[310].split(",")[0], "0", "0", "0", "0", "0"])
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert len(read.prices) == 598
    assert [finding.rows for finding in read.findings if finding.kind == "set_aside"] == [1, 1]
    assert "line 302" in _messages(read)
    assert "line 312" in _messages(read)


def test_slips_that_are_not_rare_refuse_the_ticker(tmp_path: Path) -> None:
    rows = lines(600)
    for at in range(0, 600, 50):
        day, opened, high, low, close, volume = rows[at].split(",")
        rows[at] = f"{day},{opened},{low},{high},{close},{volume}"
    with pytest.raises(InputError, match=r"below Low .*lines 2, 52, 102"):
        read_prices(write(tmp_path / "a.csv", rows))


def test_downloads_put_one_after_another_are_read(tmp_path: Path) -> None:
    rows = lines(90)
    read = read_prices(write(tmp_path / "a.csv", [*rows[60:], *rows[30:60], *rows[:30]]))
    assert len(read.prices) == 90
    assert "out of order" in _messages(read)


def test_dates_in_the_future_are_a_log_line_and_no_finding(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [line.replace("2024-", "2099-") for line in lines(3)]
    read = read_prices(write(tmp_path / "a.csv", rows))
    assert read.findings == ()
    assert "future" in caplog.text


# --- the as-of date --------------------------------------------------------------------------------------------------

AS_OF = date.fromisoformat(row(19).split(",")[0])
GARBAGE = [
    "",
    "x",
    "-1",
    "0",
    "inf",
    "nan",
    "1e400",
    "99999999",
    '"',
    '"a',
    "=1",
    "\u00e9",
    "1;2",
    "27,3",
    "1,234",
    "null",
]


def test_rows_after_the_as_of_date_are_set_aside_and_reported(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", lines(25))
    read = read_prices(path, as_of=AS_OF)
    assert len(read.prices) == 20
    assert [(one.kind, one.rows) for one in read.findings] == [("set_aside", 5)]


def test_no_rows_up_to_the_as_of_date_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows up to 2020-01-01"):
        read_prices(write(tmp_path / "a.csv", lines()), as_of=date(2020, 1, 1))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    later=st.lists(
        st.tuples(
            st.integers(1, 4000),
            st.lists(st.one_of(st.sampled_from(GARBAGE), st.floats(50, 200).map(str)), min_size=0, max_size=7),
        ),
        max_size=6,
    ),
    newest_first=st.booleans(),
    ticker=st.sampled_from(["", "A,", "B,"]),
)
def test_nothing_after_the_as_of_date_has_a_say(
    later: list[tuple[int, list[str]]], newest_first: bool, ticker: str, tmp_path: Path
) -> None:
    own = [ticker.replace("B", "A") + line for line in lines()]
    header = f"Ticker,{HEADER}" if ticker else HEADER
    before = read_prices(write(tmp_path / "a.csv", own, header), as_of=AS_OF)
    added = [",".join([f"{ticker}{AS_OF + timedelta(days=days)}", *cells]) for days, cells in later]
    rows = [*own, *added]

    after = read_prices(write(tmp_path / "a.csv", rows[::-1] if newest_first else rows, header), as_of=AS_OF)

    pd.testing.assert_frame_equal(after.prices, before.prices)
    assert after.refused == before.refused


# --- options ----------------------------------------------------------------------------------------------------------


def test_undecidable_day_and_month_name_the_option_that_settles_them(tmp_path: Path) -> None:
    rows = [f"0{day}/01/2024,{100 + day},{101 + day},{99 + day},{100 + day},5" for day in (2, 3, 4, 5, 8, 9)]
    path = write(tmp_path / "a.csv", rows)
    with pytest.raises(InputError, match="--date-order dmy or mdy"):
        read_prices(path)
    assert str(read_prices(path, date_order="dmy").prices["date"].iloc[-1].date()) == "2024-01-09"
    assert str(read_prices(path, date_order="mdy").prices["date"].iloc[-1].date()) == "2024-09-01"


def test_undecidable_decimal_mark_names_the_option_that_settles_it(tmp_path: Path) -> None:
    rows = [f"{line.split(',')[0]};27.{100 + at};27.{200 + at};27.{50 + at:03d}" for at, line in enumerate(lines())]
    path = write(tmp_path / "a.csv", rows, "Date;Open;High;Low")
    with pytest.raises(InputError, match="--decimal point or comma"):
        read_prices(path)
    assert read_prices(path, decimal="point").prices["open"].iloc[0] == 27.1
    assert read_prices(path, decimal="comma").prices["open"].iloc[0] == 27100.0


def test_order_of_days_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    rows = [f"{at:02d}/12/2023,100,101,99,100,5" for at in range(1, 29)]
    with pytest.raises(InputError, match="not a date"):
        read_prices(write(tmp_path / "a.csv", rows), date_order="mdy")
