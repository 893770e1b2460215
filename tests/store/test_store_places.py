"""Where a store may be and what may be in it: hostile names, links, places that cannot be written to."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from store_cases import AS_OF, forecasts, manifest, publish

from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.store import Store


def test_other_peoples_files_stay(store):
    publish(store)
    for name in ("models/as_of=2017-01-31/notes.txt", "notes.txt", ".staging/notes.txt"):
        (store.root / name).write_text("mine")
    publish(store, 200.0)
    for name in ("models/as_of=2017-01-31/notes.txt", "notes.txt", ".staging/notes.txt"):
        assert (store.root / name).read_text() == "mine"


def test_a_folder_among_the_temporary_files_stops_no_run(store):
    (store.root / ".staging" / "0123456789abcdef.part").mkdir()
    assert publish(store).status == "new"


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
