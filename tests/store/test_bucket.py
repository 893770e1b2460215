"""A store in a bucket, against a server that speaks S3: what a folder promises, and what only a bucket must."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import date

import duckdb
import httpx
import pandas as pd
import pyarrow.dataset
import pyarrow.fs
import pytest
from rich.console import Console

from forecasting.commands.show import look_at, show
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
from forecasting.monitoring.ledger import read_scores, score_published
from forecasting.reproduce import verify_files
from forecasting.store import paths
from forecasting.store.retention import prune
from forecasting.store.store import Store, StoreLockedError

obstore = pytest.importorskip("obstore")

from forecasting import buckets  # noqa: E402
from forecasting.store import lease  # noqa: E402

AS_OF = date(2017, 1, 31)


@pytest.fixture(scope="module")
def publish(root):
    """The small run of the tests of faults: every file of it differs from one level to another."""
    sys.path.insert(0, str(root / "tests" / "store"))
    try:
        import test_faults
    finally:
        sys.path.pop(0)
    return test_faults.publish


@pytest.fixture
def quick_lease(monkeypatch):
    monkeypatch.setattr(lease, "SECONDS", 1.0)
    monkeypatch.setattr(lease.Lease, "poll_seconds", 0.1)


def content(store):
    folders = (*paths.KINDS, paths.STAGING)
    return {entry.name: store.read(entry.name) for folder in folders for entry in store.files(folder)}


def test_a_run_is_published_as_in_a_folder(bucket, publish, tmp_path):
    publish(bucket, 100.0)
    publish(tmp_path, 100.0)
    store = Store(bucket, create=False)
    there = content(store)
    here = content(Store(tmp_path))
    assert there.keys() == here.keys()
    assert {name for name in there if there[name] != here[name]} <= {paths.manifest(AS_OF)}
    assert store.dates() == (AS_OF,)
    assert store.published(AS_OF)
    assert verify_files(store, AS_OF) == ()
    assert store.heldout(AS_OF, ["ticker"]).num_rows == 4


def test_readers_of_parquet_read_it(bucket, bucket_server, publish):
    publish(bucket, 100.0)
    publish(bucket, 200.0, date(2017, 2, 1))
    system = pyarrow.fs.S3FileSystem(endpoint_override=bucket_server.removeprefix("http://"), scheme="http")
    frame = pd.read_parquet(f"{bucket.removeprefix('s3://')}/forecasts", filesystem=system)
    assert sorted(frame["as_of"].astype(str).unique()) == ["2017-01-31", "2017-02-01"]
    # DuckDB's own s3 reader is an extension that it downloads; what Arrow reads, it reads without.
    folder = pyarrow.dataset.dataset(
        f"{bucket.removeprefix('s3://')}/forecasts", filesystem=system, partitioning="hive"
    )
    counts = duckdb.from_arrow(folder).aggregate("as_of, count(*) as rows", "as_of").order("as_of").fetchall()
    assert counts == [("2017-01-31", 2), ("2017-02-01", 2)]


def test_it_is_shown_pruned_and_replaced(bucket, publish):
    for number in range(1, 4):
        publish(bucket, 100.0 + number, date(2017, 1, number), models=("shard-0", "shard-1"))
    store = Store(bucket)
    out = io.StringIO()
    show(look_at(store), Console(file=out, width=120))
    assert "GOOG" in out.getvalue()
    removed = prune(store, keep_runs=1, keep_heldout=2)
    assert removed[0] == paths.heldout_part(date(2017, 1, 1), 0)
    assert len(removed) == 1 + 2 * 3
    publish(bucket, 300.0, date(2017, 1, 3))
    assert paths.model(date(2017, 1, 3), "shard-1") not in content(store)
    assert not store.files(paths.STAGING)


def test_forecasts_in_it_are_scored(bucket, publish, make_prices):
    publish(bucket, 800.0)
    prices = make_prices("GOOG", rows=40, end="2017-02-10")
    scoring = score_published(Store(bucket), prices, "XNYS", date(2017, 2, 10))
    assert len(scoring.added) == 1
    assert len(read_scores(Store(bucket))) == 1
    assert score_published(Store(bucket), prices, "XNYS", date(2017, 2, 10)).added.empty


def test_prices_are_read_from_it_and_named_by_their_addresses(bucket, bucket_server, tmp_path):
    rows = "Date,Open,High,Low,Close\n2017-01-03,1,2,1,2\n2017-01-04,2,3,2,3\n"
    store = buckets.connect(bucket)
    for name in ("AA.csv", "BRK.B.csv", "notes.md", ".hidden.csv", "below/CC.csv"):
        obstore.put(store, f"prices/{name}", rows.encode())
    obstore.put(store, "prices/bad.csv", b"Date,Open\n2017-01-03,1\n")
    read = read_prices(f"{bucket}/prices/")
    assert sorted(read.prices["ticker"].unique()) == ["AA", "BRK.B"]
    assert [one.path for one in read.inputs] == [f"{bucket}/prices/{name}.csv" for name in ("AA", "BRK.B", "bad")]
    assert read.refused[0].file == f"{bucket}/prices/bad.csv"
    assert str(read.refused[0].error).startswith(f"{bucket}/prices/bad.csv")
    assert list(read_prices(f"{bucket}/prices/A*.csv").prices["ticker"].unique()) == ["AA"]
    assert list(read_prices(f"{bucket}/prices/below/CC.csv").prices["ticker"].unique()) == ["CC"]
    for absent in ("none/", "prices/Z*.csv", "prices/none.csv"):
        with pytest.raises(InputError, match=r"no such object|matches no object"):
            read_prices(f"{bucket}/{absent}")


# Who may write ---------------------------------------------------------------------------------------------------


def test_a_second_run_is_refused_and_waits(bucket, publish, quick_lease):
    one, other = Store(bucket), Store(bucket)
    with one.lock(), pytest.raises(StoreLockedError, match=f"process {os.getpid()} on"):
        publish(other.address, 100.0)
    with one.lock():
        threading.Timer(1.5, one.place.lock.release).start()  # renewed meanwhile: longer than the lease
        started = time.monotonic()
        with other.lock(wait=20):
            assert time.monotonic() - started > 1.4
    assert Store(bucket).dates() == ()


def test_of_many_at_once_one_has_the_lease(bucket):
    stores = [Store(bucket) for _ in range(8)]
    got = []

    def take(store):
        with contextlib.suppress(StoreLockedError):
            store.place.lock.acquire(0)
            got.append(store)

    threads = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    got[0].place.lock.release()


KILLED = """
import sys, time
from forecasting.store.store import Store
store = Store(sys.argv[1])
with store.lock():
    store.place.draft(b"half a run")
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_killed_run_does_not_hold_it_on(bucket, publish, root, quick_lease):
    process = subprocess.Popen([sys.executable, "-c", KILLED, bucket], stdout=subprocess.PIPE, cwd=root, text=True)
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(StoreLockedError, match=f"process {process.pid} on"):
        publish(bucket, 100.0)
    store = Store(bucket)
    with store.lock(wait=20):
        assert not store.files(paths.STAGING)
    publish(bucket, 100.0)
    assert Store(bucket).published(AS_OF)


def test_a_run_whose_lease_another_took_publishes_nothing(bucket, monkeypatch):
    slow, other = Store(bucket), Store(bucket)
    slow.place.lock.acquire(0)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(lease, "SECONDS", 0.0)  # as if the first had been suspended
        other.place.lock.acquire(0)
    try:
        draft = slow.place.draft(b"late")
        with pytest.raises(StoreLockedError, match="lost"):
            slow.place.publish([(draft, paths.forecasts(AS_OF))])
        assert other.place.lock.held
    finally:
        slow.place.lock.release()
        other.place.lock.release()
    assert Store(bucket).dates() == ()


# What may go wrong -----------------------------------------------------------------------------------------------


@pytest.fixture
def gate(monkeypatch):
    """Calls that change the bucket; from the one that `at` numbers on, the service is gone for every call."""

    class Gate:
        at, calls = None, 0

        def pass_(self, call, changes):
            def gated(*args, **kwargs):
                if self.at is not None and self.calls >= self.at:
                    raise obstore.exceptions.GenericError("HTTP error: error sending request")
                self.calls += changes
                return call(*args, **kwargs)

            return gated

    gate = Gate()
    for name in ("put", "copy", "delete", "get", "list", "head"):
        monkeypatch.setattr(obstore, name, gate.pass_(getattr(obstore, name), name in ("put", "copy", "delete")))
    return gate


def check(bucket, publish, gate, monkeypatch, *, earlier, chosen):
    """Take the service away at each of the chosen requests of a run, and hold what is found to what is promised."""
    monkeypatch.setattr(lease.Lease, "poll_seconds", 0.05)
    if earlier is not None:
        publish(bucket, earlier)
    before = content(Store(bucket))
    gate.calls = 0
    publish(f"{bucket}-elsewhere", 200.0)
    requests, new = gate.calls, content(Store(f"{bucket}-elsewhere"))
    for at in filter(chosen, range(requests)):
        gate.at, gate.calls = at, 0
        monkeypatch.setattr(lease, "SECONDS", 0.5)
        with contextlib.suppress(OSError, StoreLockedError):
            publish(bucket, 200.0)
        gate.at = None
        found = content(Store(bucket)).get(paths.forecasts(AS_OF))
        assert found in (before.get(paths.forecasts(AS_OF)), new[paths.forecasts(AS_OF)])
        with Store(bucket).lock(wait=20):
            monkeypatch.setattr(lease, "SECONDS", 45.0)  # however slow the machine is, it is not lost again
        publish(bucket, 200.0)
        assert verify_files(Store(bucket), AS_OF) == ()
        assert not Store(bucket).files(paths.STAGING)
        for name in content(Store(bucket)).keys() - before.keys():
            obstore.delete(buckets.connect(bucket), name)
        for name, data in before.items():
            obstore.put(buckets.connect(bucket), name, data)


@pytest.mark.parametrize("earlier", [None, 100.0], ids=["first of its date", "replacing another"])
def test_a_service_that_goes_at_some_request_leaves_the_old_or_the_new(bucket, publish, gate, monkeypatch, earlier):
    check(bucket, publish, gate, monkeypatch, earlier=earlier, chosen=lambda at: at % 6 == 3)


@pytest.mark.slow
@pytest.mark.parametrize("earlier", [None, 100.0], ids=["first of its date", "replacing another"])
def test_a_service_that_goes_at_any_request_leaves_the_old_or_the_new(bucket, publish, gate, monkeypatch, earlier):
    check(bucket, publish, gate, monkeypatch, earlier=earlier, chosen=lambda _: True)


def test_a_service_that_does_not_answer_is_a_failure_of_the_run(bucket, monkeypatch):
    monkeypatch.setattr(buckets, "RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="the bucket does not answer"):
        Store(bucket)


def test_a_bucket_that_is_not_there_is_refused(bucket):
    for use in (Store, read_prices, lambda address: Store(address, create=False)):
        with pytest.raises(InputError, match="there is no such bucket"):
            use("s3://not-there/store")
    with pytest.raises(InputError, match="there is no store here"):
        Store(f"{bucket}/none", create=False)


def test_refused_credentials_are_said_to_be(bucket, bucket_server):
    def refuse_after(requests):
        httpx.post(
            f"{bucket_server}/moto-api/reset-auth", content=str(requests), headers={"Content-Type": "text/plain"}
        )

    refuse_after(0)
    try:
        for use in (Store, read_prices):
            with pytest.raises(InputError, match="refuses these credentials") as caught:
                use(bucket)
            assert "look-for" not in str(caught.value)
    finally:
        refuse_after("inf")


def test_credentials_are_in_no_file_and_no_message(bucket, publish, caplog):
    caplog.set_level("DEBUG")
    publish(bucket, 100.0)
    store = Store(bucket)
    with store.lock(), pytest.raises(StoreLockedError) as caught:
        publish(bucket, 200.0)
    everything = [*content(store).values(), store.read(lease.NAME), pickle.dumps(store)]
    assert not any(b"look-for" in data for data in everything)
    assert "look-for" not in caplog.text + str(caught.value)


def test_without_the_package_an_address_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    for use in (Store, read_prices):
        with pytest.raises(InputError, match=r"pip install 'daily-forecast\[cloud\]'"):
            use("s3://bucket/folder")
