"""One run at a time: the lock excludes, says who holds it, and ends with its holder."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from forecasting.errors import InputError
from forecasting.store.lock import FolderLock
from forecasting.store.places import StoreLockedError

HOLD = """
import sys, os, time
from pathlib import Path
from forecasting.store.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
lock.acquire(0)
if sys.argv[2] == "fork" and os.fork() == 0:
    print(os.getpid(), flush=True)
    time.sleep(60)
if sys.argv[2] != "fork":
    print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / ".lock"


def holder(path, root, how="alone"):
    """Start a process that holds the lock; returns it once it does, with what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), how], stdout=subprocess.PIPE, cwd=root, text=True
    )
    return process, process.stdout.readline().strip()


def stop(process):
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_holder_learns_who_the_first_is(path):
    first, second = FolderLock(path), FolderLock(path)
    first.acquire(0)
    with pytest.raises(StoreLockedError, match=f"process {os.getpid()} on"):
        second.acquire(0)
    assert first.held
    assert not second.held
    first.release()
    second.acquire(0)
    second.release()


def test_waiting_ends_when_the_lock_is_given_back(path):
    first, second = FolderLock(path), FolderLock(path)
    first.acquire(0)
    threading.Timer(0.3, first.release).start()
    second.acquire(30)
    assert second.held
    second.release()


def test_a_killed_holder_leaves_no_lock(path, root):
    process, _ = holder(path, root)
    lock = FolderLock(path)
    with pytest.raises(StoreLockedError, match=f"process {process.pid} on"):
        lock.acquire(0.2)
    stop(process)
    lock.acquire(0)
    lock.release()


def test_a_worker_that_outlives_its_killed_parent_does_not_keep_the_lock(path, root):
    process, child = holder(path, root, "fork")
    try:
        stop(process)
        lock = FolderLock(path)
        lock.acquire(0)
        assert lock.held
        lock.release()
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_removing_the_lock_file_lets_nobody_in_unseen(path):
    first, second, third = (FolderLock(path) for _ in range(3))
    first.acquire(0)
    path.unlink()
    second.acquire(0)  # on a file of the same name: the first's has none any more
    with pytest.raises(StoreLockedError):
        third.acquire(0)
    first.release()
    with pytest.raises(StoreLockedError):
        third.acquire(0)
    second.release()


def test_a_copy_sent_to_another_process_holds_no_lock(path):
    lock = FolderLock(path)
    lock.acquire(0)
    copy = pickle.loads(pickle.dumps(lock))  # noqa: S301 (made the line before)
    assert not copy.held
    with pytest.raises(StoreLockedError):
        copy.acquire(0)
    lock.release()


def test_what_is_not_a_file_is_refused(path, tmp_path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="not a plain file"):
        FolderLock(path).acquire(0)
    assert not (tmp_path / "elsewhere").exists()
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="not a plain file"):
        FolderLock(path).acquire(0)


def test_rubbish_in_the_lock_file_is_not_repeated(path):
    lock = FolderLock(path)
    lock.acquire(0)
    path.write_bytes(b"\x1b[31mowned\x00\xff")
    with pytest.raises(StoreLockedError, match="its process is not known"):
        FolderLock(path).acquire(0)
    lock.release()


def test_a_store_leaves_nothing_registered_for_the_life_of_the_process(path, monkeypatch):
    registered = []
    monkeypatch.setattr(os, "register_at_fork", lambda **callbacks: registered.append(callbacks))
    for _ in range(100):
        lock = FolderLock(path)
        lock.acquire(0)
        lock.release()
    assert registered == []
