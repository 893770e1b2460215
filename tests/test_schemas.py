"""The Parquet files: exactly these columns, nothing that misleads, and the same bytes from the same rows."""

from __future__ import annotations

import io
import itertools
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forecasting.config import QUANTILE_COLUMNS
from forecasting.schemas import (
    FORECASTS,
    HELDOUT,
    METRICS,
    SCHEMA_VERSION,
    as_table,
    parquet_bytes,
    write_parquet,
)


def forecasts(rows=4):
    quantiles = {name: 100.0 + k + np.arange(rows) for k, name in enumerate(QUANTILE_COLUMNS)}
    return pd.DataFrame(
        {
            "ticker": "GOOG",
            "cutoff": pd.Timestamp("2016-12-30"),
            "target_date": pd.bdate_range("2017-01-03", periods=rows),
            "step": np.arange(1, rows + 1),
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 771.82,
            "forecast": quantiles["q50"],
            **quantiles,
        }
    )


def heldout(rows=4):
    return forecasts(rows).drop(columns=["reason", "anchor", "anchor_price"]).assign(actual=1.5)


def repeated(rows):
    return heldout(1).loc[np.zeros(rows, dtype=int)].reset_index(drop=True)


def test_the_columns_are_the_documented_ones():
    assert FORECASTS.names[:9] == [
        *("ticker", "cutoff", "target_date", "step", "model", "reason", "anchor", "anchor_price", "forecast"),
    ]
    assert FORECASTS.names[9:] == list(QUANTILE_COLUMNS)
    assert HELDOUT.field("actual").type == pa.float64()
    assert {HELDOUT.field(name).type for name in ("forecast", *QUANTILE_COLUMNS)} == {pa.float32()}
    assert METRICS.names == [
        *("ticker", "model", "step", "n", "mae", "rmse", "mape", "mase", "crps"),
        *("coverage_50", "coverage_80", "coverage_90", "dm_p_value", "chosen"),
    ]
    assert {FORECASTS.field(name).type for name in ("cutoff", "target_date")} == {pa.date32()}
    assert FORECASTS.field("step").type == pa.int32()


def test_each_file_names_its_schema_and_version():
    file = pq.ParquetFile(io.BytesIO(parquet_bytes(forecasts(), FORECASTS)))
    assert file.schema_arrow.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()
    assert file.schema_arrow.metadata[b"schema"] == b"forecasts"
    assert file.schema_arrow.equals(FORECASTS)


def test_values_come_back(tmp_path):
    frame = forecasts()
    (tmp_path / "f.parquet").write_bytes(parquet_bytes(frame, FORECASTS))
    back = pd.read_parquet(tmp_path / "f.parquet")
    assert list(back["target_date"]) == list(frame["target_date"].dt.date)
    assert back["q05"].equals(frame["q05"])
    assert back["reason"].isna().all()


def test_scores_that_are_not_defined_are_null():
    row = dict.fromkeys(METRICS.names, 1.0) | {"ticker": "A", "model": "lstm", "chosen": True, "dm_p_value": np.nan}
    table = as_table(pd.DataFrame([row]).astype({"step": int, "n": int}), METRICS)
    assert table["dm_p_value"].null_count == 1
    assert table["mae"].null_count == 0


def test_columns_may_come_in_any_order_but_none_may_be_missing_or_added():
    frame = forecasts()
    assert parquet_bytes(frame[sorted(frame.columns)], FORECASTS) == parquet_bytes(frame, FORECASTS)
    with pytest.raises(ValueError, match="q50"):
        as_table(frame.drop(columns="q50"), FORECASTS)
    with pytest.raises(ValueError, match="as_of"):
        as_table(frame.assign(as_of="2017-01-01"), FORECASTS)


@pytest.mark.parametrize("column", ["ticker", "cutoff", "step", "forecast", "q95"])
def test_a_required_value_may_not_be_missing(column):
    frame = forecasts().astype({column: object})
    frame.loc[1, column] = None
    with pytest.raises(ValueError, match=column):
        as_table(frame, FORECASTS)
    with pytest.raises(ValueError, match=column):
        as_table(pa.Table.from_pandas(frame, preserve_index=False), FORECASTS)


def test_no_value_is_bent_to_fit():
    with pytest.raises(ValueError, match="time of day"):
        as_table(forecasts().assign(cutoff=pd.Timestamp("2016-12-30 09:30")), FORECASTS)
    with pytest.raises(ValueError, match=r"truncate|Float"):
        as_table(forecasts().assign(step=1.5), FORECASTS)


@pytest.mark.parametrize("pieces", [1, 7])
def test_the_pieces_that_rows_come_in_leave_no_trace(pieces):
    rows = 300_000
    stream = np.random.default_rng(0)
    table = as_table(
        repeated(rows).assign(ticker=np.repeat(["A", "B", "C"], rows // 3), actual=stream.normal(size=rows)),
        HELDOUT,
    )
    cuts = np.linspace(0, rows, pieces + 1).astype(int)
    sink = io.BytesIO()
    given = (table.slice(start, stop - start) for start, stop in itertools.pairwise(cuts))
    assert write_parquet(sink, given, HELDOUT) == rows
    assert sink.getvalue() == parquet_bytes(table, HELDOUT)
    groups = pq.ParquetFile(sink).metadata
    assert [groups.row_group(k).num_rows for k in range(groups.num_row_groups)] == [131072, 131072, 37856]
    assert pq.read_table(sink).equals(table)


def test_rows_are_written_as_they_come():
    """The next piece is only asked for when the one before is out of memory's way (two row groups at most)."""
    piece = as_table(repeated(100_000), HELDOUT)
    sink = io.BytesIO()
    written = []

    def pieces():
        for _ in range(6):
            written.append(sink.tell())
            yield piece

    write_parquet(sink, pieces(), HELDOUT)
    assert written[0] < written[2] < written[3] < written[5]


def test_nothing_of_the_clock_or_the_zone_is_written(monkeypatch):
    import time

    before = parquet_bytes(forecasts(), FORECASTS)
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        frame = forecasts().assign(cutoff=date(2016, 12, 30))
        assert parquet_bytes(frame, FORECASTS) == before
    finally:
        monkeypatch.undo()
        time.tzset()
