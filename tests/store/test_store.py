"""The store: where things stand, who may write, what readers find."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.schemas import METRICS
from forecasting.store import paths
from forecasting.store.manifest import Manifest, config_record
from forecasting.store.store import Store, StoreLockedError

AS_OF = date(2017, 1, 31)


def forecasts(level=100.0, tickers=("GOOG", "IBM")):
    frame = pd.DataFrame(
        {
            "ticker": [ticker for ticker in tickers for _ in range(2)],
            "cutoff": pd.Timestamp(AS_OF),
            "target_date": pd.to_datetime(["2017-02-01", "2017-02-02"] * len(tickers)),
            "step": [1, 2] * len(tickers),
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 796.79,
            "forecast": level + QUANTILE_COLUMNS.index("q50"),
        }
    )
    return frame.assign(**{name: level + k for k, name in enumerate(QUANTILE_COLUMNS)})


def heldout():
    return forecasts().drop(columns=["reason", "anchor", "anchor_price"]).assign(actual=1.5)


def metrics():
    values = dict.fromkeys(METRICS.names, 1.0) | {"ticker": "A", "model": "lstm", "step": 1, "n": 9, "chosen": True}
    return pd.DataFrame([values])


def manifest(as_of=AS_OF, **timings):
    return Manifest(as_of=as_of, config=config_record(ForecastConfig()), timings=timings)


def publish(store, level=100.0, as_of=AS_OF, models=("shard-0",), **options):
    with store.publication(as_of, **options) as publication:
        publication.heldout(0, heldout())
        publication.heldout(1, heldout().assign(step=[3, 4] * 2))
        publication.metrics(metrics())
        for name in models:
            publication.model(name, {"w": np.full((2, 3), level)}, {"tickers": [name]})
        publication.report("<!doctype html>")
        return publication.commit(forecasts(level), manifest(as_of, started=level))


def content(root):
    """Every visible file of the store, by name."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.relative_to(root).parts[0].startswith(".")
    }


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


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


def test_other_peoples_files_stay(store):
    publish(store)
    for name in ("models/as_of=2017-01-31/notes.txt", "notes.txt", ".staging/notes.txt"):
        (store.root / name).write_text("mine")
    publish(store, 200.0)
    for name in ("models/as_of=2017-01-31/notes.txt", "notes.txt", ".staging/notes.txt"):
        assert (store.root / name).read_text() == "mine"


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


def test_a_folder_among_the_temporary_files_stops_no_run(store):
    (store.root / ".staging" / "0123456789abcdef.part").mkdir()
    assert publish(store).status == "new"


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


HOSTILE = ["../x", "/etc/x", "CON", "=1+1", "<script>", "x" * 300, "\0", "a/../../b", "é", "aapl", "AAPL"]


def test_hostile_names_stay_inside_and_apart(store):
    around = {path for path in store.root.parent.rglob("*") if store.root not in path.parents}
    with store.publication(AS_OF) as publication:
        for name in HOSTILE:
            publication.model(name, {"w": np.ones(1)}, {"ticker": name})
        publication.commit(forecasts(tickers=HOSTILE), manifest())
    assert {path for path in store.root.parent.rglob("*") if store.root not in path.parents} == around
    assert len(list((store.root / paths.folder("models", AS_OF)).iterdir())) == len(HOSTILE)
    assert pd.read_parquet(store.root / "forecasts")["ticker"].unique().tolist() == HOSTILE


@pytest.mark.parametrize(
    "name", ["../x", "scores/../../x", "/etc/x", "scores", "other/x", "scores//x", "scores/\0", ""]
)
def test_no_name_leads_out_of_the_store(store, name):
    with store.lock(), pytest.raises(ValueError, match="not a path of the store"):
        store.write(name, b"")


def test_further_files_are_written_under_the_lock_alone(store):
    with pytest.raises(RuntimeError, match="under its lock"):
        store.write("scores/as_of=2017-01-31/scores.parquet", b"x")
    with store.lock():
        store.write("scores/as_of=2017-01-31/scores.parquet", b"x")
    assert content(store.root) == {"scores/as_of=2017-01-31/scores.parquet": b"x"}


def test_no_link_is_followed_out_of_the_store(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.root / "models").symlink_to(elsewhere)
    with pytest.raises(InputError, match="symbolic link"):
        publish(store)
    with pytest.raises(InputError, match="symbolic link"):
        Store(store.root)
    assert list(elsewhere.iterdir()) == []
    assert store.dates() == ()
    (store.root / "models").unlink()
    (store.root / "forecasts").mkdir(exist_ok=True)
    (store.root / "forecasts" / "as_of=2017-01-31").symlink_to(elsewhere)
    with pytest.raises(InputError, match="symbolic link"):
        publish(store)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "file/below", "file/far/below"])
def test_a_place_that_is_a_file_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="--output"):
        Store(tmp_path / place)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path):
    tmp_path.chmod(0o555)
    try:
        for place in (tmp_path, tmp_path / "new"):
            with pytest.raises(InputError, match=r"Permission denied.*--output"):
                Store(place)
    finally:
        tmp_path.chmod(0o755)


@pytest.mark.parametrize("number", [30, 13, 1])
def test_a_read_only_place_is_refused_before_the_run(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match="cannot be written to"):
        Store(tmp_path)


def test_reading_needs_a_store_and_makes_none(tmp_path):
    with pytest.raises(InputError, match="no store"):
        Store(tmp_path / "absent", create=False)
    assert not (tmp_path / "absent").exists()
    empty = Store(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []
    assert empty.latest() is None
    with pytest.raises(InputError, match="nothing is published as of 2017-01-31"):
        empty.forecasts(AS_OF)
    with pytest.raises(InputError, match="no manifest"):
        empty.manifest(AS_OF)
    assert not empty.published(AS_OF)


def test_damaged_forecasts_are_said_to_be(store):
    publish(store)
    path = store.root / paths.forecasts(AS_OF)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        store.forecasts(AS_OF)
    assert not store.published(AS_OF)


def test_the_store_stays_where_it_was_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("relative")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    publish(store)
    assert (tmp_path / "relative" / "forecasts").is_dir()


@pytest.mark.parametrize("as_of", [AS_OF, datetime(2017, 1, 31, 9, 30, tzinfo=UTC), pd.Timestamp("2017-01-31 09:30")])
def test_a_date_with_a_time_is_its_date(store, as_of):
    assert paths.folder("runs", as_of) == "runs/as_of=2017-01-31"


def test_strange_folders_are_not_dates(store):
    publish(store)
    for name in ("as_of=2017-02-30", "as_of=", "backup", "as_of=2017-01-01.old"):
        (store.root / "forecasts" / name).mkdir()
    (store.root / "forecasts" / "as_of=2018-01-01").mkdir()  # empty: a run was killed right before its commit
    assert store.dates() == (AS_OF,)


def test_while_one_run_publishes_another_is_reported(store):
    other = Store(store.root)
    with store.lock(), store.publication(AS_OF) as publication:
        publication.report("<html>")
        with pytest.raises(StoreLockedError, match="in use by another run"):
            publish(other)
        publication.commit(forecasts(), manifest())
    assert publish(other, 200.0).status == "replaced"


def run(root, level, wait, results):
    try:
        results.put(publish(Store(root), level, wait=wait).status)
    except StoreLockedError as error:
        results.put(str(error))


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
