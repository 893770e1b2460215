"""A run that is killed, or whose disk fails, at any point of its publication.

This file is also a program: started as one, it publishes once for each fault it is asked for, each time in a forked
process of its own whose calls that change the disk (opening for writing, write, fsync, rename, mkdir, unlink, truncate)
pass a gate. The gate counts them, and at the call it is set to it kills the process, kills it in the middle of the
write, or raises the disk's error, once or from then on.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.reproduce import verify_files
from forecasting.schemas import METRICS
from forecasting.store import paths
from forecasting.store.manifest import Manifest, config_record
from forecasting.store.store import Store

AS_OF = date(2017, 1, 31)
EARLIER = date(2017, 1, 30)
FAILED, REFUSED = 11, 12
PUBLISHED = ("forecasts.parquet", "shard-000.parquet", "metrics.parquet", "report.html", "manifest.json")


def forecasts(level):
    quantiles = {name: level + k for k, name in enumerate(QUANTILE_COLUMNS)}
    return pd.DataFrame(
        {
            "ticker": ["GOOG", "IBM"],
            "cutoff": AS_OF,
            "target_date": date(2017, 2, 1),
            "step": 1,
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 796.79,
            "forecast": quantiles["q50"],
            **quantiles,
        }
    )


def publish(root, level, as_of=AS_OF, models=("shard-0",)):
    """Publish a small run whose every file differs from one level to another."""
    held = forecasts(level).drop(columns=["reason", "anchor", "anchor_price"]).assign(actual=level)
    scores = dict.fromkeys(METRICS.names, level) | {"ticker": "A", "model": "lstm", "step": 1, "n": 2, "chosen": True}
    with Store(root).publication(as_of) as publication:
        publication.heldout(0, pd.concat([held, held]))
        publication.metrics(pd.DataFrame([scores]))
        for name in models:
            publication.model(name, {"w": np.full(4, level)}, {})
        publication.report(f"<!doctype html>{level}")
        publication.commit(forecasts(level), Manifest(as_of=as_of, config=config_record(ForecastConfig())))


# What runs in the forked processes -----------------------------------------------------------------------------------


class Gate:
    """Every call that changes the disk passes here."""

    def __init__(self, mode, at):
        self.mode, self.at, self.trace = mode, at, []

    def __call__(self, name, call, *args, **kwargs):
        reached = len(self.trace) == self.at
        self.trace.append((name, *map(str, args[:2])))
        if reached and self.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode in errno.errorcode.values() and (reached or (len(self.trace) > self.at and self.mode != "EIO")):
            number = getattr(errno, self.mode)
            raise OSError(number, os.strerror(number))
        return call(*args, **kwargs)


class GatedFile(io.FileIO):
    """A file whose writes pass the gate."""

    gate: Gate

    def write(self, data):
        if self.gate.mode == "torn" and len(self.gate.trace) == self.gate.at:
            super().write(bytes(data)[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return self.gate("write", super().write, data)


def gate_the_disk(gate):
    """Lead this process's calls through `gate`."""
    open_, fdopen = os.open, os.fdopen

    def gated_open(path, flags, *args, **kwargs):
        if flags & os.O_CREAT:
            return gate("open", open_, path, flags, *args, **kwargs)
        return open_(path, flags, *args, **kwargs)

    def gated_fdopen(descriptor, mode="r", buffering=-1, **kwargs):
        if mode != "wb":
            return fdopen(descriptor, mode, buffering, **kwargs)
        file = GatedFile(descriptor, "w")
        file.gate = gate
        return io.BufferedWriter(file, buffering)

    def gated(name):
        call = getattr(os, name)
        return lambda *args, **kwargs: gate(name, call, *args, **kwargs)

    for name in ("fsync", "replace", "mkdir", "unlink", "ftruncate", "pwrite", "rmdir"):
        setattr(os, name, gated(name))
    os.open, os.fdopen = gated_open, gated_fdopen


def publish_with_fault(root, mode, at):
    """Publish behind a gate, and return the exit status that tells what came of it; never returns when killed."""
    gate = Gate(mode, at)
    gate_the_disk(gate)
    try:
        publish(root, 200.0)
    except InputError:
        return REFUSED
    except OSError as error:
        if mode == errno.errorcode[error.errno]:
            return FAILED
        raise
    if mode == "none":
        root.with_suffix(".trace").write_text(json.dumps(gate.trace))
    return 0


def main():
    """Read faults (folder, mode, number of the call) from the standard input and write each one's exit status."""
    for line in sys.stdin:
        root, mode, at = json.loads(line)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = publish_with_fault(Path(root), mode, at)
            finally:
                if status == 1:
                    traceback.print_exc()
                os._exit(status)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


# What is asserted ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def inject(root):
    """Start the program; returns a function that has it publish with one fault and gives the exit status."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def ask(folder, mode, at):
            process.stdin.write(json.dumps([str(folder), mode, at]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield ask
        process.stdin.close()


@dataclass
class Scene:
    """A store before the run, and what the run does without faults."""

    before: Path
    old: bytes | None
    new: bytes
    calls: list[list[str]]

    @property
    def commit(self):
        """Number of the call that publishes: the rename of the forecasts."""
        return self.numbers("replace")[-1]

    def numbers(self, name):
        return [at for at, call in enumerate(self.calls) if call[0] == name]


@pytest.fixture
def memory():
    """A folder in memory where there is one: every run flushes a dozen files, and there are many runs."""
    shm = Path("/dev/shm")  # noqa: S108 (a place to try, not a file)
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture(params=["first of its date", "replacing another"], scope="module")
def scene(request, inject, tmp_path_factory):
    """A store with an earlier date, and either nothing of this one or a whole run with one model file more."""
    folder = tmp_path_factory.mktemp("before")
    publish(folder / "store", 50.0, EARLIER)
    if request.param == "replacing another":
        publish(folder / "store", 100.0, models=("shard-0", "shard-1"))
    shutil.copytree(folder / "store", folder / "done")
    assert inject(folder / "done", "none", -1) == 0
    calls = json.loads((folder / "done.trace").read_text())
    return Scene(folder / "store", forecasts_in(folder / "store"), forecasts_in(folder / "done"), calls)


def forecasts_in(folder):
    path = folder / paths.forecasts(AS_OF)
    return path.read_bytes() if path.exists() else None


def assert_readers_are_well(folder, scene):
    """Old or new, whole; nothing else in sight; the other date untouched."""
    found = forecasts_in(folder)
    assert found in (scene.old, scene.new)
    table = pd.read_parquet(folder / "forecasts")
    assert set(table["as_of"].astype(str)) == {"2017-01-30"} if found is None else {"2017-01-30", "2017-01-31"}
    assert pl.read_parquet(folder / "forecasts", hive_partitioning=True).height == len(table)
    names = {path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != ".staging"}
    assert names <= {*PUBLISHED, ".lock", "shard-0.safetensors", "shard-1.safetensors"}
    assert verify_files(Store(folder, create=False), EARLIER) == ()


def assert_the_next_run_repairs_all(folder, scene):
    publish(folder, 200.0)
    assert forecasts_in(folder) == scene.new
    assert verify_files(Store(folder, create=False), AS_OF) == ()
    assert list((folder / ".staging").iterdir()) == []


def check(inject, scene, room, mode, numbers):
    """Inject the fault at each of these calls of a run, and hold what is found to what is promised."""
    for at in numbers:
        folder = room / f"{mode}-{at}"
        shutil.copytree(scene.before, folder)
        status = inject(folder, mode, at)
        assert_readers_are_well(folder, scene)
        if mode in ("kill", "torn"):
            assert status == -signal.SIGKILL
        else:
            assert status in (0, FAILED, REFUSED)
            # A run that fails has published nothing, but for one case: the rename of the forecasts was done, and the
            # flush of their folder failed. They are whole, but may not outlast a power cut: the run fails all the same.
            assert forecasts_in(folder) == (scene.new if status == 0 or at > scene.commit else scene.old)
        assert_the_next_run_repairs_all(folder, scene)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_kill_before_any_call(inject, scene, memory):
    check(inject, scene, memory, "kill", range(len(scene.calls)))


def test_a_kill_before_any_call_around_the_commit(inject, scene, memory):
    check(inject, scene, memory, "kill", scene.numbers("replace"))
    check(inject, scene, memory, "kill", range(scene.commit + 1, len(scene.calls)))


def test_a_kill_in_the_middle_of_any_write(inject, scene, memory):
    check(inject, scene, memory, "torn", scene.numbers("write"))


@pytest.mark.slow
@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
def test_the_disk_fails_at_any_call(inject, scene, memory, error):
    check(inject, scene, memory, error, range(len(scene.calls)))


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_the_disk_fails_at_some_calls(inject, scene, memory, error):
    numbers = range(len(scene.calls))
    check(inject, scene, memory, error, [at for at in numbers if at % 20 == 0 or abs(at - scene.commit) < 2])


def test_every_file_is_on_the_disk_before_the_first_rename_and_the_forecasts_come_last(scene):
    names = [call[0] for call in scene.calls]
    first = names.index("replace")
    files = names[:first].count("write")
    assert names[:first].count("fsync") >= files == len(scene.numbers("replace"))
    assert "write" not in names[first:]
    # Each rename is followed by the flush of its folder before the next one is made.
    assert names[first : scene.commit + 2] == ["replace", "fsync"] * files
    targets = [Path(scene.calls[at][2]).name for at in scene.numbers("replace")]
    assert targets[-2:] == ["manifest.json", "forecasts.parquet"]


if __name__ == "__main__":
    main()
