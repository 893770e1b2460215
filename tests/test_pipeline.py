"""The whole walk: nothing later than the as-of date in it, the same bytes again, and each ticker for itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.frame_checks import check_forecasts
from forecasting.ingest.prices import Ingested, read_prices
from forecasting.model.training_loop import TrainingStoppedError, Watch
from forecasting.pipeline import forecast, forecast_bytes
from forecasting.schemas import FORECASTS, as_table

AS_OF = date(2024, 6, 28)
PRICES = ["open", "high", "low", "close"]
NUMBERS = ["anchor_price", "forecast", *QUANTILE_COLUMNS]


def config(**changes):
    given = {"epochs": 2, "members": 1, "hidden": 3, "horizon": 3, "calendar": "24/7", "device": "cpu"}
    return ForecastConfig(**{**given, **changes})


def ingested(*frames):
    prices = pd.concat(frames, ignore_index=True).sort_values(["ticker", "date"], ignore_index=True)
    return Ingested(prices, (), (), ())


def bytes_of_csv(path, frame, asked=None, as_of=AS_OF):
    frame.to_csv(path, index=False)
    return forecast_bytes(asked or config(), read_prices(path, as_of=as_of), as_of)


@pytest.fixture(scope="module")
def panel(make_prices):
    """Two tickers of unequal length, with forty more days after the as-of date."""
    later = str(AS_OF + timedelta(days=40))
    return pd.concat(
        [make_prices("AAA", 220, end=later), make_prices("BBB", 280, seed=1, end=later)], ignore_index=True
    )


@pytest.fixture(scope="module")
def known(panel, tmp_path_factory):
    """The bytes that the rows up to the as-of date lead to."""
    upto = panel[panel["date"].dt.date <= AS_OF]
    return bytes_of_csv(tmp_path_factory.mktemp("known") / "prices.csv", upto)


def is_later(frame):
    return frame["date"].dt.date > AS_OF


def perturbed(frame):
    frame.loc[is_later(frame), PRICES] *= 3
    return frame


def deleted(frame):
    return frame[~is_later(frame) | (frame.index % 3 == 0)]


def one_ticker_goes_on(frame):
    return frame[~is_later(frame) | (frame["ticker"] == "AAA")]


def rubbish(frame):
    frame = frame.astype(dict.fromkeys(PRICES, "object"))
    frame.loc[is_later(frame), ["open", "high"]] = "n/a"
    frame.loc[is_later(frame) & (frame["ticker"] == "BBB"), "low"] = -1
    return frame


def a_new_ticker(frame):
    return pd.concat([frame, frame[is_later(frame)].assign(ticker="CCC").drop_duplicates("date")])


def split_in_the_future(frame):
    frame.loc[is_later(frame), PRICES] /= 2
    return frame


@pytest.mark.parametrize(
    "change", [lambda frame: frame, perturbed, deleted, one_ticker_goes_on, rubbish, a_new_ticker, split_in_the_future]
)
def test_rows_after_the_as_of_date_change_no_byte(panel, known, tmp_path, change) -> None:
    assert bytes_of_csv(tmp_path / "prices.csv", change(panel.copy())) == known


@settings(max_examples=6)
@given(data=st.data())
def test_no_byte_changes_whatever_comes_later(panel, known, tmp_path_factory, data) -> None:
    later = panel[is_later(panel)]
    kept = data.draw(st.lists(st.sampled_from(list(later.index)), unique=True, max_size=len(later)))
    changed = panel.drop(index=later.index.difference(kept))
    factors = data.draw(st.lists(st.floats(0.01, 100), min_size=len(kept), max_size=len(kept)))
    changed.loc[kept, PRICES] *= np.array(factors)[:, None] if kept else 1
    assert bytes_of_csv(tmp_path_factory.mktemp("any") / "prices.csv", changed) == known


def test_rows_up_to_the_as_of_date_do_matter(panel, known, tmp_path) -> None:
    changed = panel.copy()
    changed.loc[(changed["date"].dt.date == AS_OF) & (changed["ticker"] == "AAA"), "open"] *= 1.0001
    assert bytes_of_csv(tmp_path / "prices.csv", changed) != known


def test_the_same_rows_give_the_same_bytes_in_whatever_order_they_come(panel, known, tmp_path) -> None:
    upto = panel[~is_later(panel)]
    assert bytes_of_csv(tmp_path / "again.csv", upto) == known
    assert bytes_of_csv(tmp_path / "newest-first.csv", upto[::-1]) == known
    for ticker, rows in upto.groupby("ticker"):
        folder = tmp_path / "folder"
        folder.mkdir(exist_ok=True)
        rows.drop(columns="ticker").to_csv(folder / f"{ticker}.csv", index=False)
    assert forecast_bytes(config(), read_prices(folder, as_of=AS_OF), AS_OF) == known


@pytest.fixture(scope="module")
def good(make_prices):
    return [make_prices("GOOD", 200), make_prices("LONG", 260, seed=1)]


@pytest.fixture(scope="module")
def without_bad(good):
    return forecast(ingested(*good), config(), AS_OF).forecasts


def ends(rows, days):
    """The same rows, so many days earlier."""
    return rows.assign(date=rows["date"] - pd.Timedelta(days=days))


def level(rows, prices):
    """Bars around some Opens."""
    opened = np.broadcast_to(np.asarray(prices, dtype=float), len(rows))
    return rows.assign(open=opened, high=1.01 * opened, low=0.99 * opened, close=opened)


GROWTH = np.arange(200)
STREAM = np.random.default_rng(0)
BAD = {
    "constant": (lambda rows: level(rows, 7), "every Open is 7"),
    "five rows": (lambda rows: rows.tail(5), "5 rows"),
    "stale by a year": (lambda rows: ends(rows, 300), "--stale-after 5"),
    "exploding": (lambda rows: level(rows, 1e-3 * 1.5**GROWTH), "prices from"),
    "vanishing": (lambda rows: level(rows, 1e3 * 0.5**GROWTH), "prices from"),
}
ODD = {
    "IPO": (lambda rows: rows.tail(20), "under 150 rows"),
    "just long enough": (lambda rows: rows.tail(15), "under 150 rows"),
    "a little stale": (lambda rows: ends(rows, 3), "stale"),
    "no close": (lambda rows: rows.assign(close=np.nan), None),
    "high is low": (lambda rows: rows.assign(high=rows["open"], low=rows["open"], close=rows["open"]), None),
    "no volume": (lambda rows: rows.assign(volume=0.0), None),
    "volume unknown": (lambda rows: rows.assign(volume=np.nan), None),
    "constant but for one": (lambda rows: level(rows, np.where(GROWTH == 199, 8, 7)), None),
    "constant up to validation": (lambda rows: level(rows, np.where(GROWTH < 100, 7, 7 + GROWTH % 2)), None),
    "two prices": (lambda rows: level(rows, 7 + STREAM.integers(0, 2, 200)), None),
    "all over the place": (lambda rows: level(rows, np.exp(5 * STREAM.standard_normal(200))), None),
    "steady growth": (lambda rows: level(rows, 1.05**GROWTH), None),
    "last row out of all proportion": (lambda rows: level(rows, np.where(GROWTH == 199, 1e12, 100 + GROWTH % 7)), None),
    "tiny": (lambda rows: rows.assign(**(rows[PRICES] * 1e-10)), None),
    "huge": (lambda rows: rows.assign(**(rows[PRICES] * 1e6)), None),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_a_bad_ticker_is_withheld_with_its_reason_and_the_others_are_as_without_it(
    make_prices, good, without_bad, kind
) -> None:
    spoil, reason = BAD[kind]
    run = forecast(ingested(*good, spoil(make_prices("BAD", 200, seed=2))), config(), AS_OF)
    (withheld,) = run.withheld
    assert withheld.ticker == "BAD"
    assert reason in withheld.reason
    assert set(run.forecasts["ticker"]) == {"GOOD", "LONG"}
    pd.testing.assert_frame_equal(run.forecasts, without_bad, rtol=1e-5)


@pytest.mark.parametrize("kind", list(ODD))
def test_an_odd_ticker_is_forecast_and_the_others_are_as_without_it(make_prices, good, without_bad, kind) -> None:
    change, reason = ODD[kind]
    run = forecast(ingested(*good, change(make_prices("ODD", 200, seed=2))), config(), AS_OF)
    check_forecasts(as_table(run.forecasts, FORECASTS))
    assert not run.withheld
    odd = run.forecasts["ticker"] == "ODD"
    assert odd.sum() == 3
    if reason is not None:
        assert run.forecasts.loc[odd, "reason"].str.contains(reason).all()
    pd.testing.assert_frame_equal(run.forecasts[~odd].reset_index(drop=True), without_bad, rtol=1e-5)


def test_a_ticker_without_a_single_price_is_refused_and_the_others_are_as_without_it(
    good, without_bad, tmp_path
) -> None:
    empty = good[0].assign(ticker="NONE", **dict.fromkeys(PRICES, np.nan))
    pd.concat([*good, empty]).to_csv(tmp_path / "prices.csv", index=False)
    run = forecast(read_prices(tmp_path / "prices.csv", as_of=AS_OF), config(), AS_OF)
    assert {one.ticker for one in run.withheld} == {"NONE"}
    pd.testing.assert_frame_equal(run.forecasts, without_bad, rtol=1e-5)


def test_how_tickers_are_dealt_into_shards_does_not_matter(make_prices, without_bad, good) -> None:
    more = [make_prices(f"T{k}", 170 + 10 * k, seed=k) for k in range(4)]
    run = forecast(ingested(*good, *more), config(shards=3, shard_tickers=2, models_per_batch=2), AS_OF)
    assert len(run.models) == 3
    mine = run.forecasts[run.forecasts["ticker"].isin(["GOOD", "LONG"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, without_bad, rtol=1e-5)
    assert run.forecasts["ticker"].is_monotonic_increasing
    assert run.metrics["ticker"].is_monotonic_increasing


def test_one_ticker_is_enough(good, without_bad) -> None:
    alone = forecast(ingested(good[0]), config(), AS_OF).forecasts
    mine = without_bad[without_bad["ticker"] == "GOOD"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone, mine, rtol=1e-5)


def test_when_nobody_can_be_forecast_the_reasons_are_said(make_prices) -> None:
    with pytest.raises(
        InputError, match=r"no ticker can be forecast: A: 5 rows.*; B: 6 rows.*; see daily-forecast check"
    ):
        forecast(ingested(make_prices("A", 5), make_prices("B", 6)), config(), AS_OF)


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": 60},
        {"horizon": 1},
        {"context": 250},
        {"context": 2},
        {"batch": 1000},
        {"batch": 7},
        {"anchor": "open"},
    ],
)
def test_unusual_settings_still_give_whole_forecasts(good, changes) -> None:
    asked = config(epochs=1, **changes)
    run = forecast(ingested(*good), asked, AS_OF)
    check_forecasts(as_table(run.forecasts, FORECASTS))
    assert len(run.forecasts) == 2 * asked.horizon
    first = run.forecasts.groupby("ticker")["target_date"].first()
    assert set(first) == {AS_OF + timedelta(days=1)}


def test_the_calendar_gives_the_target_dates(good) -> None:
    run = forecast(ingested(good[0]), config(calendar="XNYS", horizon=5), AS_OF)
    # After Friday the 28th; Thursday the 4th of July is a holiday.
    assert [day.day for day in run.forecasts["target_date"]] == [1, 2, 3, 5, 8]


def test_files_open_and_parquet_agree(panel, known, tmp_path) -> None:
    (tmp_path / "forecasts.parquet").write_bytes(known)
    table = pq.read_table(tmp_path / "forecasts.parquet")
    assert table.schema.equals(FORECASTS)
    last = panel[~is_later(panel)].groupby("ticker").last()
    for row in table.to_pylist():
        assert row["cutoff"] == AS_OF
        assert row["anchor_price"] == last.loc[row["ticker"], row["anchor"]]
        assert row["forecast"] == pytest.approx(row["anchor_price"], rel=0.1)


def test_a_stop_reaches_training(good) -> None:
    reported = []
    with pytest.raises(TrainingStoppedError):
        forecast(ingested(*good), config(), AS_OF, Watch(reported.append, lambda: len(reported) == 1))
    assert len(reported) == 1


@pytest.mark.slow
@pytest.mark.parametrize("day", [date(2008, 10, 10), date(2012, 12, 31)])
def test_on_real_prices_no_later_row_changes_a_byte(root, tmp_path, day) -> None:
    """With the default sizes, across splits and a crash."""
    asked = ForecastConfig(epochs=3)
    sample = read_prices(root / "data" / "stocks.csv.gz").prices
    until = sample[sample["date"] <= pd.Timestamp(day)]
    other = sample.copy()
    other.loc[other["date"] > pd.Timestamp(day), PRICES] *= 2
    results = set()
    for name, frame in (("whole", sample), ("until", until), ("other", other)):
        results.add(bytes_of_csv(tmp_path / f"{name}.csv", frame, asked, day))
    assert len(results) == 1


@pytest.mark.slow
def test_on_real_prices_each_ticker_is_as_alone(root) -> None:
    asked = ForecastConfig(epochs=6)
    sample = read_prices(root / "data" / "stocks.csv.gz")
    day = sample.prices["date"].max().date()
    together = forecast(sample, asked, day).forecasts
    for ticker, rows in sample.prices.groupby("ticker"):
        one = replace(sample, prices=rows.reset_index(drop=True))
        mine = together[together["ticker"] == ticker].reset_index(drop=True)
        pd.testing.assert_frame_equal(forecast(one, asked, day).forecasts, mine, rtol=1e-5)
