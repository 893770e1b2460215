"""A store's place in a folder: files that appear whole or not at all, and never outside their folder."""

from __future__ import annotations

import hashlib
import os

import pytest

from forecasting.errors import InputError
from forecasting.store.folder import LocalFolder
from forecasting.store.places import file_record, record_of


@pytest.fixture
def place(tmp_path):
    folder = LocalFolder(tmp_path / "store")
    folder.prepare()
    return folder


def write(place, name, data):
    place.publish([(place.draft(data), name)])


def drafts(place):
    return [entry.name for entry in place.list(".staging")]


def test_a_file_is_written_whole_and_identified(place):
    write(place, "runs/file", b"content")
    assert (place.root / "runs/file").read_bytes() == b"content"
    assert file_record(place, "runs/file") == record_of(b"content")
    assert record_of(b"content").sha256 == hashlib.sha256(b"content").hexdigest()
    assert drafts(place) == []


def test_nothing_is_seen_before_a_draft_is_published(place):
    write(place, "runs/file", b"old")
    draft = place.draft(b"new " * 1_000_000)
    assert (place.root / "runs/file").read_bytes() == b"old"
    place.publish([(draft, "runs/file")])
    assert (place.root / "runs/file").read_bytes() == b"new " * 1_000_000


def test_a_deleted_draft_leaves_no_trace(place):
    place.delete(place.draft(b"new", "group"))
    assert drafts(place) == []
    assert not (place.root / ".staging/group").exists()


def test_a_full_disk_is_named(place, monkeypatch):
    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=f"No space left on device: '{place.root}'"):
        place.draft(b"new")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_the_old_file_stays_when_writing_fails(place, monkeypatch, failing):
    write(place, "runs/file", b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write(place, "runs/file", b"new")
    monkeypatch.undo()
    assert (place.root / "runs/file").read_bytes() == b"old"
    assert len(drafts(place)) == (failing == "replace")


def test_the_new_file_is_as_open_to_others_as_the_umask_says(place):
    before = os.umask(0o022)
    try:
        write(place, "runs/file", b"")
    finally:
        os.umask(before)
    assert (place.root / "runs/file").stat().st_mode & 0o777 == 0o644


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (place.root / "runs").mkdir()
    (place.root / "runs/file").symlink_to(elsewhere)
    write(place, "runs/file", b"new")
    assert elsewhere.read_bytes() == b"precious"
    assert (place.root / "runs/file").read_bytes() == b"new"
    assert not (place.root / "runs/file").is_symlink()


def test_a_folder_that_is_a_link_or_a_file_is_refused(place, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_bytes(b"")
    (place.root / "link").symlink_to(tmp_path / "elsewhere")
    (place.root / "file").write_bytes(b"")
    for name in ("link", "file"):
        with pytest.raises(InputError, match="symbolic link"):
            write(place, f"{name}/x", b"")
        assert place.list(name) == []
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["mine"]


def test_files_are_listed_by_name_with_what_changes_when_they_are_written(place):
    for name in ("runs/b/2", "runs/a", "scores/x", "runs/b/1"):
        write(place, name, b"one")
    assert [entry.name for entry in place.list("runs")] == ["runs/a", "runs/b/1", "runs/b/2"]
    assert place.list("absent") == []
    before = place.entry("runs/a")
    write(place, "runs/a", b"other")
    assert place.entry("runs/a").version != before.version
    assert place.entry("runs/none") is None


def test_a_deleted_file_takes_its_empty_folders_with_it(place):
    write(place, "models/as_of=2017-01-31/a/x", b"")
    write(place, "models/as_of=2017-01-31/y", b"")
    place.delete("models/as_of=2017-01-31/a/x")
    place.delete("models/as_of=2017-01-31/a/x")
    assert [path.name for path in (place.root / "models/as_of=2017-01-31").iterdir()] == ["y"]
    place.delete("models/as_of=2017-01-31/y")
    assert list((place.root / "models").iterdir()) == []
