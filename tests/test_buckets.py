"""Addresses in the place of paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecasting.buckets import address_of
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
from forecasting.store.store import Store


@pytest.mark.parametrize("place", ["data", "/data/x", "a:b", "C:/x", "../a://b", "s3:", "prices/*.csv"])
def test_a_path_is_not_an_address(place):
    assert address_of(place) is None


def test_an_address_keeps_its_slashes_through_pathlib():
    assert address_of(Path("s3://bucket/prices")) == "s3://bucket/prices"
    assert address_of("GS://bucket") == "gs://bucket"


@pytest.mark.parametrize("address", ["file:///tmp/x", "https://host/x", "ftp:/x"])
@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_of_something_else_is_refused_and_nothing_is_made(tmp_path, monkeypatch, address, kind):
    monkeypatch.chdir(tmp_path)
    for use in (Store, read_prices, lambda place: Store(place, create=False)):
        with pytest.raises(InputError, match="is an address, but not of a bucket"):
            use(kind(address))
    assert list(tmp_path.iterdir()) == []
