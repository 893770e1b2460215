"""README says what is: its options, columns, files and snippets are those of the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from daily_forecast_flows.options import Options
from forecasting.config import QUANTILE_COLUMNS
from forecasting.schemas import FORECASTS, METRICS, parquet_bytes
from forecasting.store.store import Store

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
NOTEBOOK, *SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_options_table_is_the_list_of_options():
    section = README.split("## Options")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `--([a-z-]+)` \|", section, re.MULTILINE)
    assert sorted(rows) == sorted(name.replace("_", "-") for name in Options.model_fields)


def test_the_columns_of_forecasts_are_all_named():
    section = README.split("**forecasts.parquet**")[1].split("**heldout/*.parquet**")[0]
    named = set(re.findall(r"`([a-z_0-9]+)`", section))
    assert {name for name in FORECASTS.names if name not in QUANTILE_COLUMNS} <= named
    assert {"q05", "q10", "q95"} <= named


def test_the_columns_of_metrics_are_all_named():
    section = README.split("**metrics.parquet**")[1].split("\n## ")[0]
    assert all(re.search(rf"\b{name}\b", section) for name in METRICS.names)


def test_every_folder_that_the_tree_names_is_there():
    tree = README.split("## The walk of the data")[1].split("\n## ")[0]
    named = re.findall(r"^    ([a-z]+/) ", tree, re.MULTILINE)
    assert {"forecasting/", "flows/", "tests/"} <= set(named)
    assert [name for name in named if not (ROOT / name).is_dir()] == []


def test_the_notebook_example_works(tmp_path):
    (tmp_path / "data").symlink_to(ROOT / "data")
    done = _run(NOTEBOOK, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"GOOG\s+2013-03-04", done.stdout)
    assert Store(tmp_path / "my-store").forecasts(date(2013, 3, 1)).num_rows == 3


def test_pictures_and_linked_files_are_there():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


def test_make_targets_named_are_there():
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{target}:" in makefile for target in re.findall(r"make ([a-z-]+)\s+#", README))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["pandas", "duckdb", "polars"])
def test_each_way_to_read_the_store_works(snippet, tmp_path):
    _write_two_days(tmp_path / "data" / "output")
    done = _run(snippet, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "GOOG" in done.stdout


def _run(snippet: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as a reader has it."""
    command = [sys.executable, "-c", snippet]
    return subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, check=False)


def _write_two_days(store: Path) -> None:
    for day in (date(2013, 2, 28), date(2013, 3, 1)):
        row = {
            "ticker": "GOOG",
            "cutoff": day,
            "target_date": date(2013, 3, 4),
            "step": 1,
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 806.19,
            "forecast": 806.0,
            **dict.fromkeys(QUANTILE_COLUMNS, 806.0),
        }
        score = dict.fromkeys(METRICS.names, 0.5) | {
            "ticker": "GOOG",
            "model": "lstm",
            "step": 1,
            "n": 100,
            "chosen": True,
        }
        for kind, name, schema, values in (
            ("forecasts", "forecasts", FORECASTS, row),
            ("evaluation", "metrics", METRICS, score),
        ):
            folder = store / kind / f"as_of={day}"
            folder.mkdir(parents=True)
            table = pa.table({column: [value] for column, value in values.items()})
            (folder / f"{name}.parquet").write_bytes(parquet_bytes(table, schema))
