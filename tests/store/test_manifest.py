"""The manifest: read back as written, the same bytes every time, and refused when damaged."""

from __future__ import annotations

import json
import os
from datetime import date

import pytest

from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.store import paths
from forecasting.store.manifest import (
    FindingRecord,
    InputRecord,
    Manifest,
    WithheldRecord,
    config_record,
    read_manifest,
    versions_in_use,
)
from forecasting.store.places import FileRecord
from forecasting.store.store import Store


def manifest(**changes):
    return Manifest(
        **{
            "as_of": date(2017, 1, 31),
            "config": config_record(ForecastConfig()),
            "reading": {"date_order": "auto"},
            "inputs": (InputRecord(path="a.csv", sha256="00", bytes=2),),
            "versions": versions_in_use(),
            "findings": (FindingRecord.model_validate(Finding("A", "warning", "odd")),),
            "withheld": (WithheldRecord(ticker="B", reason="5 rows"),),
            "timings": {"started": "2017-02-01T00:00:00Z", "train": 1.5},
            **changes,
        }
    )


def load(path):
    with path.open("rb") as file:
        return read_manifest(file, str(path))


def test_it_comes_back(tmp_path):
    written = manifest().with_files({"forecasts/x": FileRecord("ab", 3)})
    (tmp_path / "manifest.json").write_bytes(written.to_json())
    assert load(tmp_path / "manifest.json") == written
    assert written.files["forecasts/x"].sha256 == "ab"


def test_the_configuration_can_be_run_again():
    config = ForecastConfig(preset="tutorial", tickers=frozenset({"B", "A", "C"}), seed=7)
    record = json.loads(manifest(config=config_record(config)).to_json())["config"]
    assert record["tickers"] == ["A", "B", "C"]
    assert ForecastConfig.model_validate(record) == config


def test_only_timings_depend_on_the_clock():
    one, two = (json.loads(manifest(timings={"train": t}).to_json()) for t in (1.0, 2.0))
    assert {key for key in one if one[key] != two[key]} == {"timings"}


def test_the_order_of_files_leaves_no_trace():
    records = {"b": FileRecord("1", 1), "a": FileRecord("2", 2)}
    backwards = dict(reversed(records.items()))
    assert manifest().with_files(records).to_json() == manifest().with_files(backwards).to_json()


def test_file_names_that_are_not_text_are_held_all_the_same(tmp_path):
    name = b"prices\xff.csv".decode("utf-8", "surrogateescape")
    written = manifest(inputs=(InputRecord(path=name, sha256="00", bytes=2),), withheld=(WithheldRecord(reason="\0"),))
    (tmp_path / "m.json").write_bytes(written.to_json())
    assert load(tmp_path / "m.json").inputs[0].path == "prices\\udcff.csv"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"\xff\xfe", b"{}", b'{"as_of": "tomorrow", "config": {}}', manifest().to_json()[:-30]],
)
def test_a_damaged_one_is_refused_by_name(tmp_path, data):
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(InputError, match=r"manifest\.json: is not a manifest"):
        load(tmp_path / "manifest.json")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"files": {"../../dev/zero": {"sha256": "00", "bytes": 1}}}, "is not a path of a store"),
        ({"files": {"forecasts/a\0b": {"sha256": "00", "bytes": 1}}}, "is not a path of a store"),
        ({"reading": {"date_order": "zzz"}}, "date_order is not a setting of reading, or cannot be 'zzz'"),
        ({"reading": {"paths": "x"}}, "paths is not a setting of reading"),
        ({"rows": {"A": {"rows": 2, "first_date": None, "last_date": None, "sha256": "", "trail": "QQ=="}}}, "trail"),
    ],
)
def test_one_that_would_lead_astray_is_refused(tmp_path, changes, said):
    (tmp_path / "manifest.json").write_text(json.dumps(json.loads(manifest().to_json()) | changes))
    with pytest.raises(InputError, match=said):
        load(tmp_path / "manifest.json")


def test_a_pipe_in_its_place_and_an_absent_one_are_refused_at_once(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(InputError, match="there is no manifest"):
        store.manifest(date(2017, 1, 31))
    path = store.root / paths.manifest(date(2017, 1, 31))
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(InputError, match="not a regular file"):
        store.manifest(date(2017, 1, 31))


def test_a_later_one_is_not_taken_for_a_damaged_one(tmp_path):
    later = json.loads(manifest().to_json()) | {"schema_version": 99}
    (tmp_path / "manifest.json").write_text(json.dumps(later))
    with pytest.raises(InputError, match="later version"):
        load(tmp_path / "manifest.json")


def test_versions_name_what_numbers_depend_on():
    assert {"python", "torch", "numpy", "pyarrow"} <= versions_in_use().keys()
