"""Files that appear whole or not at all, and never outside their folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from forecasting.errors import InputError
from forecasting.store.atomic import StagedFile, ensure_folder, remove_leftovers, sha256_of_file, write_file


@pytest.fixture
def staging(tmp_path):
    return ensure_folder(tmp_path, ".staging")


def test_a_file_is_written_whole_and_identified(tmp_path, staging):
    target = tmp_path / "file"
    record = write_file(staging, target, b"content")
    assert target.read_bytes() == b"content"
    assert record.sha256 == hashlib.sha256(b"content").hexdigest()
    assert record == sha256_of_file(target)
    assert list(staging.iterdir()) == []


def test_nothing_is_seen_before_the_file_is_placed(tmp_path, staging):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    staged = StagedFile(staging, target)
    staged.write(b"new " * 1_000_000)
    staged.seal()
    assert target.read_bytes() == b"old"
    staged.place()
    assert target.read_bytes() == b"new " * 1_000_000


def test_a_discarded_file_leaves_no_trace(tmp_path, staging):
    target = tmp_path / "file"
    target.write_bytes(b"old")
    staged = StagedFile(staging, target)
    staged.write(b"new")
    staged.discard()
    assert target.read_bytes() == b"old"
    assert list(staging.iterdir()) == []


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_the_old_file_stays_when_writing_fails(tmp_path, staging, monkeypatch, failing):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_file(staging, target, b"new")
    monkeypatch.undo()
    assert target.read_bytes() == b"old"
    assert list(staging.iterdir()) == []


def test_the_new_file_is_as_open_to_others_as_the_umask_says(tmp_path, staging):
    before = os.umask(0o022)
    try:
        write_file(staging, tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path, staging):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    target = tmp_path / "file"
    target.symlink_to(elsewhere)
    write_file(staging, target, b"new")
    assert elsewhere.read_bytes() == b"precious"
    assert target.read_bytes() == b"new"
    assert not target.is_symlink()


def test_a_folder_that_is_a_link_or_a_file_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(InputError, match="symbolic link"):
            ensure_folder(tmp_path, name)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_only_leftovers_of_this_kind_are_removed(tmp_path, staging):
    StagedFile(staging, tmp_path / "file").seal()  # never placed, as after a kill
    (staging / "notes.txt").write_bytes(b"somebody's")
    assert remove_leftovers(staging) == 1
    assert [path.name for path in staging.iterdir()] == ["notes.txt"]


def test_folders_are_made_one_in_another(tmp_path):
    folder = ensure_folder(tmp_path, "a", "b")
    assert folder == Path(tmp_path, "a", "b")
    assert folder.is_dir()
    assert ensure_folder(tmp_path, "a", "b") == folder
