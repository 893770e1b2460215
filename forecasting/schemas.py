"""The columns of the three Parquet files, and the only code that writes and reads them.

The same table gives the same bytes on one build, however it is divided: row groups have a fixed size, the writer's
options are fixed, and no time is written. Each file's metadata names its schema and the schema's
version.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, BinaryIO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from forecasting.config import QUANTILE_COLUMNS
from forecasting.errors import InputError

__all__ = [
    "FORECASTS",
    "HELDOUT",
    "MEASURES",
    "METRICS",
    "SCHEMA_VERSION",
    "SCORED",
    "WHEN",
    "as_table",
    "parquet_bytes",
    "read_parquet",
    "versioned",
    "write_parquet",
]

SCHEMA_VERSION = 1
"""Increased when a column of any of the files changes its name, type or meaning."""

_ROW_GROUP = 1 << 17


def versioned(name: str, columns: Mapping[str, pa.DataType], optional: Collection[str] = ()) -> pa.Schema:
    """Return the schema of a file, with its name and `SCHEMA_VERSION`; only ``optional`` columns may have nulls."""
    fields = [pa.field(column, kind, nullable=column in optional) for column, kind in columns.items()]
    return pa.schema(fields, metadata={"schema": name, "schema_version": str(SCHEMA_VERSION)})


WHEN: Mapping[str, pa.DataType] = {
    "ticker": pa.string(),
    "cutoff": pa.date32(),
    "target_date": pa.date32(),
    "step": pa.int32(),
    "model": pa.string(),
}
"""The key of a forecast."""

FORECASTS = versioned(
    "forecasts",
    {
        **WHEN,
        "reason": pa.string(),
        "anchor": pa.string(),
        **dict.fromkeys(("anchor_price", "forecast", *QUANTILE_COLUMNS), pa.float64()),
    },
    optional=["reason"],
)
"""forecasts.parquet: what is published."""

HELDOUT = versioned(
    "heldout",
    {**WHEN, "actual": pa.float64(), **dict.fromkeys(("forecast", *QUANTILE_COLUMNS), pa.float32())},
)
"""heldout/*.parquet: every held-out forecast of every model, with the actual."""

MEASURES = ("mae", "rmse", "mape", "mase", "crps", "coverage_50", "coverage_80", "coverage_90")
"""The measures of held-out forecasts, in the order of the columns."""

SCORED: Mapping[str, pa.DataType] = {
    "ticker": pa.string(),
    "model": pa.string(),
    "step": pa.int32(),
    "n": pa.int64(),
    **dict.fromkeys(MEASURES, pa.float64()),
}
"""The key of a score, the number of rows, and the scores; an undefined score is null."""

METRICS = versioned(
    "metrics", {**SCORED, "dm_p_value": pa.float64(), "chosen": pa.bool_()}, optional=[*MEASURES, "dm_p_value"]
)
"""metrics.parquet: one row per ticker, model and step."""


def as_table(data: pd.DataFrame | pa.Table, schema: pa.Schema) -> pa.Table:
    """Return `data` as a table of exactly this schema, columns in its order.

    Parameters
    ----------
    data
        Exactly the schema's columns, in any order. A data frame's NaN becomes null where the column allows it.
    schema
        One of the schemas of this module.

    Raises
    ------
    ValueError
        When columns are missing or unknown, a value does not fit its type without loss, or a required value is missing
        (pyarrow's ArrowInvalid is a ValueError).
    """
    names = list(data.column_names if isinstance(data, pa.Table) else data.columns)
    if sorted(names) != sorted(schema.names):
        differing = ", ".join(sorted(set(names) ^ set(schema.names))) or "repeated names"
        raise ValueError(f"columns are not those of the schema: {differing}")
    table = data if isinstance(data, pa.Table) else pa.Table.from_pandas(data, preserve_index=False)
    for name in table.column_names:
        kind = table[name].type
        # pyarrow drops a time of day without an error.
        if pa.types.is_timestamp(kind) and table[name].cast(pa.date32()).cast(kind) != table[name]:
            raise ValueError(f"{name} would lose its time of day")
    # Cast in two steps: a cast into a required column does not name the column whose value is missing.
    table = table.select(schema.names).cast(pa.schema([field.with_nullable(True) for field in schema]))
    for field in schema:
        if not field.nullable and table[field.name].null_count:
            raise ValueError(f"{field.name} has missing values")
    return table.cast(schema).replace_schema_metadata(schema.metadata)


def write_parquet(
    sink: IO[bytes] | io.BufferedIOBase, tables: Iterable[pd.DataFrame | pa.Table], schema: pa.Schema
) -> int:
    """Write `tables`, one after another, as one Parquet file, and return its number of rows.

    At most one row group (131,072 rows) is in memory in addition to the present table.

    Raises
    ------
    ValueError
        When a table is not of this schema.
    """
    prices = [field.name for field in schema if pa.types.is_floating(field.type)]
    rows = 0
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in schema.names if name not in prices],
        # Neighbouring prices share their leading bytes; stored side by side they compress better (one seventh smaller).
        use_byte_stream_split=prices,
        # Without a checksum, a number that a faulty disk has changed would not be noticed.
        write_page_checksum=True,
    ) as writer:
        for group in _row_groups(as_table(table, schema) for table in tables):
            writer.write_table(group, row_group_size=_ROW_GROUP)
            rows += group.num_rows
    return rows


def read_parquet(
    file: BinaryIO,
    schema: pa.Schema,
    columns: Sequence[str] | None = None,
    filters: list[tuple[str, str, object]] | None = None,
    *,
    name: str,
) -> pa.Table:
    """Read a Parquet file of a store, and check it against its schema.

    Parameters
    ----------
    file
        The open file.
    schema
        One of this module's, or of `forecasting.monitoring.realised`.
    columns
        Only these; all when None.
    filters
        Only the rows that satisfy all of these, in the form of `pyarrow.parquet.read_table`.
    name
        The file's path or address, for messages.

    Raises
    ------
    InputError
        When it is not a Parquet file of this schema, or a damaged one.
    """
    names = schema.names if columns is None else list(columns)
    try:
        table = pq.read_table(
            file, columns=columns, filters=filters, partitioning=None, page_checksum_verification=True
        )
        table.validate(full=True)
        return as_table(table, pa.schema([schema.field(name) for name in names], metadata=schema.metadata))
    except (pa.ArrowException, ValueError, OSError) as error:
        # pyarrow reports damaged bytes with its own errors and with an OSError without a number; an OSError with a
        # number comes from the disk.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"is damaged: {error}", file=name) from error


def parquet_bytes(data: pd.DataFrame | pa.Table, schema: pa.Schema) -> bytes:
    """Return the bytes of one table as a Parquet file of the store.

    Raises
    ------
    ValueError
        When it is not of this schema.
    """
    buffer = io.BytesIO()
    write_parquet(buffer, [data], schema)
    return buffer.getvalue()


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Regroup tables into pieces of one row group each (the last may be smaller), each in one contiguous chunk."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        start = 0
        while count + table.num_rows - start >= _ROW_GROUP:
            taken = _ROW_GROUP - count
            yield pa.concat_tables([*pending, table.slice(start, taken)]).combine_chunks()
            pending, count, start = [], 0, start + taken
        if start < table.num_rows:
            pending.append(table.slice(start))
            count += table.num_rows - start
    if pending:
        yield pa.concat_tables(pending).combine_chunks()
