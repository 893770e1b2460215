from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.config import ForecastConfig
from forecasting.features.series import TickerSeries
from forecasting.features.splits import Split, adjustment
from forecasting.features.windows import DECAY, RANGE_FLOOR, VARIANCE_FLOOR, group, window

ARRAYS = ("inputs", "log_open", "log_anchor", "log_close", "log_volatility", "targets", "same_unit")


def series(rows, ticker="AAA", seed=0, anchor="close", splits=()):
    stream = np.random.default_rng([seed, rows])
    opened = 50 * np.exp(np.cumsum(0.02 * stream.standard_normal(rows)))
    width = 0.01 * opened * stream.random(rows)
    factor = adjustment(rows, splits)
    return TickerSeries(
        ticker=ticker,
        dates=np.datetime64("2020-01-01") + np.arange(rows),
        open=opened / factor,
        high=(opened + width) / factor,
        low=(opened - width) / factor,
        close=(opened + 0.5 * width) / factor if anchor == "close" else None,
        factor=factor,
        splits=tuple(splits),
        anchor=anchor,
    )


def config(**changes):
    return ForecastConfig(**{"horizon": 3, "context": 4, **changes})


SHAPES = st.fixed_dictionaries(
    {
        "horizon": st.integers(1, 8),
        "context": st.integers(2, 12),
        "test_share": st.floats(0.05, 0.9),
        "validation_share": st.floats(0, 0.5),
    }
)


@settings(max_examples=60)
@given(st.lists(st.integers(15, 90), min_size=1, max_size=4), SHAPES)
def test_no_pair_crosses_a_boundary(lengths, changes) -> None:
    windows = window([series(rows, f"T{k}") for k, rows in enumerate(lengths)], config(**changes))
    segments = [windows.pairs(name) for name in ("train", "validation", "test")]
    assert (np.sum(segments, axis=0) <= 1).all()  # no pair on two sides
    starts = (windows.first, windows.validation_start, windows.test_start, np.full_like(windows.first, windows.time))
    for pairs, start, end in zip(segments, starts[:-1], starts[1:], strict=True):
        for ticker, cutoff, step in np.argwhere(pairs):
            assert start[ticker] <= cutoff + 1  # the first session after the cutoff
            assert cutoff + 1 + step < end[ticker]  # and the target
            assert cutoff - (windows.context - 1) > windows.first[ticker]  # a whole window of changes before
    np.testing.assert_array_equal(windows.pairs("before_test") & segments[0], segments[0])
    assert not (windows.pairs("before_test") & segments[2]).any()
    everything = windows.pairs("all")
    for pairs in segments:
        assert (everything >= pairs).all()


@settings(max_examples=40)
@given(st.lists(st.integers(15, 90), min_size=2, max_size=4), SHAPES, st.sampled_from(["open", "close"]))
def test_a_ticker_among_longer_ones_is_as_alone(lengths, changes, anchor) -> None:
    several = [series(rows, f"T{k}", seed=k, anchor=anchor) for k, rows in enumerate(lengths)]
    together = window(several, config(**changes))
    for k, one in enumerate(several):
        alone = window([one], config(**changes))
        tail = slice(together.time - one.rows, None)
        own = slice(alone.time - one.rows, None)
        for name in ARRAYS:
            np.testing.assert_array_equal(getattr(together, name)[k, tail], getattr(alone, name)[0, own], err_msg=name)
        for segment in ("train", "validation", "test", "before_test", "all"):
            np.testing.assert_array_equal(together.pairs(segment)[k, tail], alone.pairs(segment)[0, own])
            np.testing.assert_array_equal(together.rows_seen(segment)[k, tail], alone.rows_seen(segment)[0, own])
        for name in ("first", "first_judged", "validation_start", "test_start"):
            assert getattr(together, name)[k] - together.time == getattr(alone, name)[0] - alone.time


def test_the_last_thirty_percent_of_targets_are_for_test() -> None:
    windows = window([series(1258)], config())
    targets = 1257  # every row but the first
    assert windows.time - windows.test_start[0] == int(0.30 * targets) == 377
    assert windows.test_start[0] - windows.validation_start[0] == int(0.15 * (targets - 377)) == 132
    # As the tutorial's windows of seven, up to the rows that its first window takes: 875 and 375.
    assert windows.pairs("test")[0, :, 0].sum() == 377


def test_inputs_and_targets_by_hand() -> None:
    one = series(12)
    windows = window([one], config())
    assert np.isnan(windows.inputs[0, 0]).all()
    assert windows.inputs[0, 5, 0] == pytest.approx(np.log(one.open[5] / one.open[4]))
    assert windows.inputs[0, 5, 1] == pytest.approx(np.log((one.high[5] - one.low[5]) / one.open[5]))
    assert one.close is not None
    assert windows.targets[0, 5].tolist() == pytest.approx(np.log(one.open[6:9] / one.close[5]).tolist())
    assert np.isnan(windows.targets[0, -1]).all()
    assert np.isfinite(windows.targets[0, -2]).tolist() == [True, False, False]


def test_targets_are_counted_from_the_open_where_that_is_the_anchor() -> None:
    one = series(12, anchor="open")
    windows = window([one], config())
    assert windows.targets[0, 5].tolist() == pytest.approx(np.log(one.open[6:9] / one.open[5]).tolist())
    assert np.isnan(windows.log_close).all()


def test_a_split_changes_units_and_nothing_else() -> None:
    index = 8
    split = Split(index, np.datetime64("2020-01-09").astype(object), Fraction(2))
    plain, with_split = (window([series(16, splits=some)], config()) for some in ((), (split,)))
    for name in ARRAYS[:-1]:
        np.testing.assert_allclose(getattr(with_split, name), getattr(plain, name), rtol=1e-12, err_msg=name)
    # Only forecasts from before the split to after it are in another unit than their target.
    crossing = np.argwhere(~with_split.same_unit[0, : 16 - 3])
    assert crossing.tolist() == [
        [cutoff, step] for cutoff in range(index - 3, index) for step in range(3) if cutoff + step + 1 >= index
    ]


def test_the_volatility_is_weighted_exponentially_by_hand() -> None:
    one = series(6)
    variance = np.log(one.high / one.low) ** 2 / (4 * np.log(2))
    now = variance[0]
    for position in range(1, 6):
        now = DECAY * now + (1 - DECAY) * variance[position]
        assert window([one], config()).log_volatility[0, position] == pytest.approx(np.log(np.sqrt(now)))


def test_sessions_without_range_have_the_smallest_there_is() -> None:
    one = series(20)
    flat = TickerSeries("AAA", one.dates, one.open, one.open, one.open, None, one.factor)
    windows = window([flat], config())
    assert windows.inputs[0, 1:, 1].tolist() == pytest.approx([np.log(RANGE_FLOOR)] * 19)
    assert windows.log_volatility[0].tolist() == pytest.approx([0.5 * np.log(VARIANCE_FLOOR)] * 20)


def test_windows_are_views() -> None:
    windows = window([series(20), series(30, "B")], config())
    inputs = windows.inputs.astype(np.float32)
    views = windows.views(inputs)
    assert np.shares_memory(views, inputs)
    assert views.shape == (2, windows.time - 4 + 1, 2, 4)
    np.testing.assert_array_equal(views[1, 7], inputs[1, 7:11].T)


@pytest.mark.parametrize("changes", [{"context": 250}, {"horizon": 60}, {"context": 40, "horizon": 60}])
def test_what_is_longer_than_the_history_leaves_no_pairs(changes) -> None:
    windows = window([series(30), series(20, "B")], config(**changes))
    assert windows.views(windows.inputs.astype(np.float32)).shape[1] >= 1
    for segment in ("train", "validation", "test", "all"):
        pairs = windows.pairs(segment)
        assert not pairs[:, :, 30:].any()
        if windows.context > 30:
            assert not pairs.any()


def test_changing_later_rows_changes_nothing_before() -> None:
    one, changed = series(40), series(40)
    for name in ("open", "high", "low", "close"):
        getattr(changed, name)[30:] *= 1.5
    before, after = window([one], config()), window([changed], config())
    for name in ("inputs", "log_open", "log_anchor", "log_close", "log_volatility"):
        np.testing.assert_array_equal(getattr(before, name)[:, :30], getattr(after, name)[:, :30], err_msg=name)
    np.testing.assert_array_equal(before.targets[:, :27], after.targets[:, :27])


@settings(max_examples=40)
@given(
    st.lists(st.integers(15, 40), min_size=0, max_size=40),
    st.integers(1, 5),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
)
def test_grouping_follows_from_tickers_and_configuration_alone(lengths, shards, at_most, shuffle) -> None:
    several = [series(rows, f"T{k:02d}") for k, rows in enumerate(lengths)]
    asked = config(shards=shards, shard_tickers=at_most)
    names = [[one.ticker for one in shard] for shard in group(several, asked)]
    assert sorted(name for shard in names for name in shard) == [one.ticker for one in several]
    assert all(0 < len(shard) <= at_most for shard in names)
    assert len(names) == len(several) or len(names) % shards == 0
    mixed = several.copy()
    shuffle.shuffle(mixed)
    assert [[one.ticker for one in shard] for shard in group(mixed, asked)] == names


def test_tickers_of_like_length_share_a_shard() -> None:
    several = [series(rows, f"T{k}") for k, rows in enumerate([20, 40, 21, 41])]
    shards = group(several, config(shards=2, shard_tickers=2))
    assert [[one.rows for one in shard] for shard in shards] == [[41, 40], [21, 20]]
