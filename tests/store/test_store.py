"""The store: where things stand, who may write, what readers find."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from datetime import date

import numpy as np
import pandas as pd
import pytest
from store_cases import AS_OF, forecasts, heldout, manifest, publish, run

from forecasting.errors import InputError
from forecasting.reproduce import verify_files
from forecasting.schemas import HELDOUT, parquet_bytes
from forecasting.store import paths
from forecasting.store.retention import prune
from forecasting.store.store import Store, StoreLockedError


def content(root):
    """Every visible file of the store, by name."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.relative_to(root).parts[0].startswith(".")
    }


def test_everything_is_where_its_readers_look(store):
    outcome = publish(store)
    assert outcome.status == "new"
    assert set(content(store.root)) == {
        "forecasts/as_of=2017-01-31/forecasts.parquet",
        "evaluation/as_of=2017-01-31/heldout/shard-000.parquet",
        "evaluation/as_of=2017-01-31/heldout/shard-001.parquet",
        "evaluation/as_of=2017-01-31/metrics.parquet",
        "models/as_of=2017-01-31/shard-0.safetensors",
        "reports/as_of=2017-01-31/report.html",
        "runs/as_of=2017-01-31/manifest.json",
    }
    assert outcome.name == paths.forecasts(AS_OF)
    assert store.published(AS_OF)
    assert store.latest() == AS_OF


def test_the_manifest_holds_the_sha256_of_every_file(store):
    publish(store)
    files = content(store.root)
    held = json.loads(files.pop("runs/as_of=2017-01-31/manifest.json"))["files"]
    expected = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    assert held == expected


def test_pandas_reads_the_folder_as_one_table(store):
    publish(store)
    publish(store, 200.0, date(2017, 2, 1))
    frame = pd.read_parquet(store.root / "forecasts")
    assert len(frame) == 8
    assert sorted(frame["as_of"].astype(str).unique()) == ["2017-01-31", "2017-02-01"]
    assert frame.query("as_of == '2017-02-01'")["q05"].eq(200).all()
    assert list(store.forecasts(AS_OF).column_names) == list(forecasts().columns)
    assert len(pd.read_parquet(store.root / "evaluation" / "as_of=2017-01-31" / "heldout")) == 8


def test_a_dataset_reads_one_date_alone(store):
    import pyarrow.dataset as ds

    publish(store)
    publish(store, 200.0, date(2017, 2, 1))
    dataset = ds.dataset(store.root / "forecasts", partitioning="hive")
    assert dataset.to_table(filter=ds.field("as_of") == "2017-01-31").num_rows == 4


def test_duckdb_reads_the_folder_as_one_table(store):
    duckdb = pytest.importorskip("duckdb")
    publish(store)
    publish(store, 200.0, date(2017, 2, 1))
    table = duckdb.sql(f"from '{store.root}/forecasts/**/*.parquet'")
    rows = table.aggregate("as_of, max(q95), count(*)").order("as_of").fetchall()
    assert rows == [(date(2017, 1, 31), 118.0, 4), (date(2017, 2, 1), 218.0, 4)]


@pytest.mark.parametrize("pattern", ["forecasts", "forecasts/**/*.parquet"])
def test_polars_reads_the_folder_as_one_table(store, pattern):
    polars = pytest.importorskip("polars")
    publish(store)
    with store.publication(date(2017, 2, 1)) as unfinished:  # readers are not kept from reading meanwhile
        unfinished.heldout(0, heldout())
        frame = polars.read_parquet(store.root / pattern, hive_partitioning=True)
    assert frame.height == 4
    assert frame["as_of"].unique().to_list() == [date(2017, 1, 31)]


def test_a_run_repeated_gives_the_same_bytes(store):
    publish(store)
    before = content(store.root)
    assert publish(store).status == "same"
    assert content(store.root) == before


def test_a_later_run_of_a_date_replaces_all_of_it(store):
    publish(store, models=("shard-0", "shard-1"))
    assert publish(store, 200.0).status == "replaced"
    assert "models/as_of=2017-01-31/shard-1.safetensors" not in content(store.root)
    assert store.forecasts(AS_OF)["q05"][0].as_py() == 200.0
    assert store.published(AS_OF)


def test_what_a_later_run_does_not_have_does_not_stay(store):
    publish(store)
    with store.publication(AS_OF) as publication:
        publication.commit(forecasts(), manifest())
    assert set(content(store.root)) == {
        "forecasts/as_of=2017-01-31/forecasts.parquet",
        "runs/as_of=2017-01-31/manifest.json",
    }


def test_an_old_stores_single_file_of_heldout_rows_is_read_verified_and_replaced(store):
    publish(store)
    parts = [paths.heldout_part(AS_OF, shard) for shard in range(2)]
    single = paths.folder("evaluation", AS_OF) + "/heldout.parquet"
    known = store.heldout(AS_OF)
    with store.lock():
        record = store.write(single, parquet_bytes(known, HELDOUT))
        files = {name: file for name, file in store.manifest(AS_OF).files.items() if name not in parts}
        store.write(paths.manifest(AS_OF), manifest().with_files({**files, single: record}).to_json())
        for name in parts:
            store.place.delete(name)
    assert store.heldout(AS_OF).equals(known)
    assert store.heldout(AS_OF, ["ticker"], [("step", "==", 1)]).num_rows == 2
    assert verify_files(store, AS_OF) == ()
    publish(store, 200.0)
    assert not store.exists(single)
    assert store.heldout(AS_OF).equals(known)


def test_an_old_stores_single_file_of_heldout_rows_is_pruned(store):
    single = paths.folder("evaluation", AS_OF) + "/heldout.parquet"
    publish(store)
    with store.lock():
        store.write(single, b"x")
    publish(store, as_of=date(2017, 2, 1))
    assert single in prune(store, keep_heldout=1)
    assert not store.exists(single)


def test_forecasts_that_have_been_scored_are_kept(store, caplog):
    publish(store)
    before = content(store.root)
    outcome = publish(store, 200.0, scored=True)
    assert outcome.status == "kept"
    assert "--restate" in outcome.message
    assert "have been scored already" in caplog.text
    assert content(store.root) == before
    assert list((store.root / ".staging").iterdir()) == []
    assert publish(store, 100.0, scored=True).status == "same"
    assert publish(store, 200.0, scored=lambda: True, restate=True).status == "replaced"
    assert publish(store, 100.0, scored=lambda: False).status == "replaced"


def test_a_run_that_has_not_all_published_tickers_does_not_take_them_away(store):
    publish(store)
    before = content(store.root)
    fewer = forecasts(200.0).query("ticker == 'GOOG'")
    for restate, status in ((False, "kept"), (True, "replaced")):
        with store.publication(AS_OF, restate=restate) as publication:
            outcome = publication.commit(fewer, manifest())
        assert outcome.status == status
        if not restate:
            assert "1 ticker that this run does not have (IBM)" in outcome.message
            assert content(store.root) == before


def test_a_manifest_of_another_date_is_not_taken_for_this_ones(store):
    publish(store)
    other = store.root / paths.manifest(date(2017, 2, 1))
    other.parent.mkdir()
    other.write_bytes((store.root / paths.manifest(AS_OF)).read_bytes())
    with pytest.raises(InputError, match="the manifest of 2017-01-31, in the folder of 2017-02-01"):
        store.manifest(date(2017, 2, 1))


class Stopped(BaseException):
    """A cancelled run, say."""


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, Stopped])
def test_a_run_that_fails_changes_nothing(store, error):
    publish(store)
    before = content(store.root)

    def run():
        with store.publication(AS_OF) as publication:
            publication.model("shard-0", {"w": np.ones(1)}, {})
            publication.heldout(0, heldout())
            raise error

    with pytest.raises(error):
        run()
    assert content(store.root) == before
    assert list((store.root / ".staging").iterdir()) == []
    assert publish(store, 200.0).status == "replaced"


def test_forecasts_that_would_mislead_are_not_published(store):
    publish(store)
    before = content(store.root)
    with store.publication(AS_OF) as publication:
        publication.report("new")
        with pytest.raises(ValueError, match="decrease"):
            publication.commit(forecasts().assign(q05=1e9), manifest())
    with store.publication(AS_OF) as publication, pytest.raises(ValueError, match="does not belong"):
        publication.commit(forecasts(), manifest(date(2017, 2, 1)))
    assert content(store.root) == before


def test_without_a_commit_nothing_is_published(store):
    with store.publication(AS_OF) as publication:
        publication.report("<html>")
    assert content(store.root) == {}
    assert store.dates() == ()


def test_a_part_is_written_once_in_a_publication(store):
    with store.publication(AS_OF) as publication:
        publication.report("one")
        with pytest.raises(ValueError, match="already part"):
            publication.report("two")


def test_further_files_are_written_under_the_lock_alone(store):
    with pytest.raises(RuntimeError, match="under its lock"):
        store.write("scores/as_of=2017-01-31/scores.parquet", b"x")
    with store.lock():
        store.write("scores/as_of=2017-01-31/scores.parquet", b"x")
    assert content(store.root) == {"scores/as_of=2017-01-31/scores.parquet": b"x"}


def test_damaged_forecasts_are_said_to_be(store):
    publish(store)
    path = store.root / paths.forecasts(AS_OF)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        store.forecasts(AS_OF)
    assert not store.published(AS_OF)


def test_while_one_run_publishes_another_is_reported(store):
    other = Store(store.root)
    with store.lock(), store.publication(AS_OF) as publication:
        publication.report("<html>")
        with pytest.raises(StoreLockedError, match="in use by another run"):
            publish(other)
        publication.commit(forecasts(), manifest())
    assert publish(other, 200.0).status == "replaced"


@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_eight_runs_at_once_leave_one_whole_publication(store, wait):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    results = context.Queue()
    processes = [context.Process(target=run, args=(store.root, 100.0 + k, wait, results)) for k in range(8)]
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    published = [outcome for outcome in outcomes if outcome in ("new", "replaced")]
    assert published
    assert all("in use by another run" in outcome for outcome in outcomes if outcome not in published)
    if wait:
        assert len(published) == 8
    assert store.published(AS_OF)
    files = content(store.root)
    held = json.loads(files.pop("runs/as_of=2017-01-31/manifest.json"))["files"]
    assert {name: entry["sha256"] for name, entry in held.items()} == {
        name: hashlib.sha256(data).hexdigest() for name, data in files.items()
    }
