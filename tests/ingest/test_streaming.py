"""Files are read one after the other: only numbers stay, in one frame, of which later stages see parts."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forecasting.ingest.prices as reading
from forecasting.features.history import histories
from forecasting.ingest.prices import read_prices


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(20, 60), min_size=1, max_size=4), st.booleans())
def test_a_folder_gives_the_frame_of_one_long_file(make_prices, tmp_path_factory, sizes, shared) -> None:
    folder = tmp_path_factory.mktemp("prices")
    tickers = [make_prices(f"T{at}", rows, seed=at) for at, rows in enumerate(sizes)]
    for frame in tickers:
        frame.drop(columns="ticker").to_csv(folder / f"{frame['ticker'].iloc[0]}.csv", index=False)
    together = pd.concat(tickers[::-1]).sort_values("date", kind="stable")
    together.to_csv(folder / "long.txt", index=False)
    one_by_one = read_prices(folder, shared=shared)
    pd.testing.assert_frame_equal(one_by_one.prices, read_prices(folder / "long.txt", shared=shared).prices)


def test_a_text_is_gone_before_the_next_is_read(make_prices, tmp_path, monkeypatch) -> None:
    for name in ("AAA", "BBB", "CCC"):
        make_prices(name).drop(columns="ticker").to_csv(tmp_path / f"{name}.csv", index=False)
    read, texts, alive = reading.read_table, [], []

    def watched(text, *args):
        gc.collect()
        alive.append(sum(one() is not None for one in texts))
        texts.append(weakref.ref(text))
        return read(text, *args)

    monkeypatch.setattr(reading, "read_table", watched)
    assert read_prices(tmp_path, shared=True).prices["ticker"].nunique() == 3
    assert alive == [0, 0, 0]


def test_a_tickers_prices_are_those_of_the_frame_and_no_copy(make_prices) -> None:
    prices = pd.concat([make_prices("AAA"), make_prices("BBB", 300, seed=1)], ignore_index=True)
    for history in histories(prices):
        own = prices[prices["ticker"] == history.ticker]
        for name in ("open", "high", "low", "close", "volume"):
            seen = getattr(history, name)
            np.testing.assert_array_equal(seen, own[name])
            assert np.shares_memory(seen, prices[name].to_numpy())


@pytest.mark.parametrize("rows", [[], [1], [1, 1, 2], [2, 1, 1]])
def test_every_row_is_of_one_history(rows) -> None:
    names = np.repeat([f"T{at}" for at in range(len(rows))], rows)
    values = np.arange(len(names), dtype=float)
    columns = dict.fromkeys(("open", "high", "low", "close", "volume"), values)
    frame = pd.DataFrame({"ticker": pd.array(names, dtype="str"), "date": pd.Timestamp("2024-01-02"), **columns})
    found = list(histories(frame))
    assert [len(one) for one in found] == rows
    assert [value for one in found for value in one.open] == values.tolist()
