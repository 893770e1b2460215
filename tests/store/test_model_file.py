"""Model files: the same bytes each time, and nothing but what was written is ever used."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.errors import InputError
from forecasting.store.model_file import ModelFileError, file_name, load_model, model_bytes

TENSORS = {
    "lstm/W": np.arange(6, dtype=np.float32).reshape(1, 3, 2),
    "scaler": np.array([1.5, np.nan]),
    "mask": np.array([True, False]),
}
CARD = {"tickers": ["GOOG", "=1+1", "\0"], "epochs": 20, "config": {"seed": 0, "share": 0.3}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(model_bytes(TENSORS, CARD))
    return path


def test_tensors_and_card_come_back(path):
    tensors, card = load_model(path)
    assert card == CARD
    assert tensors.keys() == TENSORS.keys()
    for name, array in TENSORS.items():
        np.testing.assert_array_equal(tensors[name], array)
        assert tensors[name].dtype == array.dtype


def test_the_same_model_gives_the_same_bytes_in_any_process(root):
    code = (
        "import sys, numpy as np; from forecasting.store.model_file import model_bytes; tickers = {'A', 'B', 'C'};"
        "sys.stdout.buffer.write(model_bytes({n: np.ones(3) for n in tickers}, {n: 1 for n in tickers}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=root,
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_memory_layout_does_not_matter():
    array = np.arange(6.0).reshape(2, 3)
    assert model_bytes({"w": np.asfortranarray(array)}, {}) == model_bytes({"w": array}, {})


@pytest.mark.parametrize("bits", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_flipped_bit_anywhere_is_refused(path, bits):
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in range(position, position + bits):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError):
                load_model(path)


def test_every_cut_and_every_addition_is_refused(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelFileError):
            load_model(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(ModelFileError):
        load_model(path)


class Planted:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_disguise_is_refused_and_not_run(path, protocol):
    mark = path.with_name("ran")
    path.write_bytes(pickle.dumps(Planted(f"touch {mark}"), protocol=protocol))
    with pytest.raises(ModelFileError):
        load_model(path)
    assert not mark.exists()


def test_other_things_are_refused(path, tmp_path):
    from safetensors.numpy import save

    for data in (b"", b"<html>", b"\xff" * 100, b"\0" * 100, save({"w": np.ones(2)}), save({}, {"forecasting": "{}"})):
        path.write_bytes(data)
        with pytest.raises(ModelFileError):
            load_model(path)
    os.mkfifo(tmp_path / "fifo")
    for place in (tmp_path, tmp_path / "fifo", tmp_path / "absent"):
        with pytest.raises(ModelFileError):
            load_model(place)


def test_a_file_of_a_later_format_is_refused_by_its_number(path):
    from safetensors.numpy import save

    path.write_bytes(save({}, {"forecasting": '{"card": "{}", "format": 2, "sha256": ""}'}))
    with pytest.raises(ModelFileError, match="format 2"):
        load_model(path)


def test_its_errors_are_input_errors_that_name_the_file(path):
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_model(path)


@pytest.mark.parametrize(
    ("tensors", "card"),
    [
        ({"a b": np.ones(1)}, {}),
        ({"": np.ones(1)}, {}),
        ({"o": np.array([object()])}, {}),
        ({"c": np.ones(1, dtype=complex)}, {}),
        ({}, {"x": float("nan")}),
    ],
)
def test_what_would_not_read_back_is_not_written(tensors, card):
    with pytest.raises(ValueError, match=r".+"):
        model_bytes(tensors, card)


names = st.text(alphabet=st.characters(codec=None), max_size=300)


@given(names)
def test_any_name_becomes_a_harmless_file_name(name):
    result = file_name(name)
    assert result.isascii()
    assert result == result.lower()
    assert 0 < len(result) <= 80
    assert not set(result) - set("abcdefghijklmnopqrstuvwxyz0123456789_-~")
    assert result.split("~")[0] not in {"con", "nul", "aux", "prn", "com1", "lpt9"} or "~" in result
    assert file_name(name) == result


@given(st.lists(names, unique=True, max_size=20))
def test_different_names_never_share_a_file(names):
    assert len({file_name(name).lower() for name in names}) == len(names)


def test_names_that_have_done_harm_elsewhere():
    hostile = [
        "../x",
        "/etc/x",
        "CON",
        "con",
        "nul",
        ".",
        "..",
        "",
        "a/b",
        "a\\b",
        "A",
        "a",
        "\0",
        "x" * 300,
        "x" * 301,
    ]
    hostile += ["BRK.B", "brk.b", "brk_b", "=1+1", "<script>", "é", "e\u0301", "~", "\ud800"]
    assert len({file_name(name).lower() for name in hostile}) == len(hostile)
    assert file_name("shard-03") == "shard-03"


@given(st.dictionaries(st.from_regex(r"[A-Za-z0-9_./-]{1,20}", fullmatch=True), st.integers(0, 3), max_size=4))
def test_any_shapes_come_back(tmp_path_factory, sizes):
    path = tmp_path_factory.mktemp("models") / "m"
    tensors = {name: np.full((size, 2), 0.5, dtype=np.float32) for name, size in sizes.items()}
    path.write_bytes(model_bytes(tensors, {}))
    found, _ = load_model(path)
    assert {name: array.shape for name, array in found.items()} == {name: (size, 2) for name, size in sizes.items()}
