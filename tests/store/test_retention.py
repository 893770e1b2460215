"""Retention: what goes, what stays, in which order."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.retention import prune
from forecasting.store.store import Store, StoreLockedError

FIRST = date(2017, 1, 2)
FILES = (
    *("forecasts/{}/forecasts.parquet", "evaluation/{}/heldout/shard-000.parquet", "evaluation/{}/metrics.parquet"),
    *("models/{}/a.safetensors", "models/{}/b.safetensors", "reports/{}/report.html", "runs/{}/manifest.json"),
    "scores/{}/scores.parquet",
)


def day(number):
    return FIRST + timedelta(days=number)


@pytest.fixture
def store(tmp_path):
    """Six dates, the third of which was never published: a killed run's first part."""
    store = Store(tmp_path / "store")
    with store.lock():
        for number in range(6):
            for name in FILES:
                if number != 2 or name.startswith(("models", "evaluation")):
                    store.write(name.format(f"as_of={day(number)}"), b"x")
    return store


def names(store):
    visible = (path.relative_to(store.root) for path in store.root.rglob("*") if path.is_file())
    return {path.as_posix() for path in visible if not path.parts[0].startswith(".")}


def numbers(store, end):
    """Which dates still have the file whose name ends so."""
    return [number for number in range(6) if any(f"{day(number)}/{end}" in name for name in names(store))]


def test_nothing_is_removed_unless_asked_for(store):
    before = names(store)
    assert prune(store) == ()
    assert prune(store, keep_runs=5, keep_heldout=99) == ()
    assert names(store) == before


def test_only_the_newest_published_dates_keep_their_bulk(store):
    prune(store, keep_runs=3, keep_heldout=1)
    assert numbers(store, "heldout/shard-000.parquet") == [5]
    assert numbers(store, "a.safetensors") == numbers(store, "b.safetensors") == [3, 4, 5]
    assert numbers(store, "report.html") == [3, 4, 5]


def test_forecasts_scores_metrics_and_manifests_stay(store):
    prune(store, keep_runs=1, keep_heldout=1)
    for end in ("forecasts.parquet", "scores.parquet", "manifest.json"):
        assert numbers(store, end) == [0, 1, 3, 4, 5]
    assert numbers(store, "metrics.parquet") == [0, 1, 2, 3, 4, 5]
    assert store.dates() == tuple(day(number) for number in (0, 1, 3, 4, 5))


def test_heldout_goes_first_and_the_oldest_of_each_kind(store):
    removed = list(prune(store, keep_runs=3, keep_heldout=4))
    assert removed == [
        f"evaluation/as_of={day(0)}/heldout/shard-000.parquet",
        *(
            f"{place}"
            for number in range(3)
            for place in (
                f"models/as_of={day(number)}/a.safetensors",
                f"models/as_of={day(number)}/b.safetensors",
                f"reports/as_of={day(number)}/report.html",
            )
            if number != 2 or "models" in place
        ),
    ]


def test_empty_folders_go_too_and_other_peoples_files_stay(store):
    mine = (store.root / paths.folder("models", day(0))) / "notes.txt"
    mine.write_text("mine")
    prune(store, keep_runs=1)
    assert mine.exists()
    assert not (store.root / paths.folder("models", day(1))).exists()
    assert not (store.root / paths.folder("reports", day(0))).exists()


def test_a_dry_run_tells_the_same_and_removes_nothing(store):
    before = names(store)
    removed = prune(store, keep_runs=2, keep_heldout=2, dry_run=True)
    assert names(store) == before
    assert prune(store, keep_runs=2, keep_heldout=2) == removed
    assert names(store) == before - set(removed)
    assert prune(store, keep_runs=2, keep_heldout=2) == ()


@pytest.mark.parametrize("option", ["keep_runs", "keep_heldout"])
def test_the_newest_date_always_keeps_its_files(store, option):
    with pytest.raises(InputError, match=option):
        prune(store, **{option: 0})


def test_nothing_goes_while_a_run_holds_the_store(store):
    before = names(store)
    with Store(store.root).lock(), pytest.raises(StoreLockedError):
        prune(store, keep_runs=1)
    assert names(store) == before


def test_a_store_without_forecasts_keeps_everything(tmp_path):
    store = Store(tmp_path)
    with store.lock():
        store.write(f"models/as_of={day(0)}/a.safetensors", b"x")
    assert prune(store, keep_runs=1) == ()
