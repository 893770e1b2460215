from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from forecasting.config import LEVELS
from forecasting.evaluation.order_statistics import BLOCK, expanding_quantiles

NUMBERS = st.one_of(st.floats(-1, 1), st.just(float("nan")), st.sampled_from([0.0, 0.5]))


def naive(past):
    """Order statistics and their interpolation, one level after the other."""
    out = []
    for level in LEVELS:
        place = level * (len(past) - 1)
        low = int(place)
        below, above = past[low], past[min(low + 1, len(past) - 1)]
        weight = place - low
        out.append(min(below + weight * (above - below), above) if weight > 0 else below)
    return out


@settings(max_examples=80)
@given(st.data())
def test_expanding_quantiles_are_numpys_of_the_past(data) -> None:
    time = data.draw(st.integers(1, 30))
    values = data.draw(arrays(np.float64, (3, time), elements=NUMBERS, fill=st.nothing()))
    start = data.draw(st.integers(0, time - 1))
    found = expanding_quantiles(values, start)
    assert found.shape == (3, time - start, 19)
    for row, line in zip(found, values, strict=True):
        for k, got in enumerate(row):
            past = line[: start + k + 1]
            past = past[~np.isnan(past)]
            if len(past) < 2:
                assert np.isnan(got).all()
            else:
                np.testing.assert_allclose(got, np.quantile(past, LEVELS), rtol=1e-12, atol=1e-15)
                assert (np.diff(got) >= 0).all()


@settings(max_examples=80)
@given(st.data())
def test_they_are_those_of_sorting_again_at_each_moment_to_the_digit(data) -> None:
    time = data.draw(st.integers(1, 40))
    values = data.draw(arrays(np.float64, (2, time), elements=NUMBERS, fill=st.nothing()))
    start = data.draw(st.integers(0, time - 1))
    for row, line in zip(expanding_quantiles(values, start), values, strict=True):
        for k, got in enumerate(row):
            past = np.sort(line[: start + k + 1])
            past = past[~np.isnan(past)]
            expected = naive(past) if len(past) > 1 else [np.nan] * 19
            np.testing.assert_array_equal(got, expected)


def test_series_of_different_blocks_are_as_alone() -> None:
    values = np.random.default_rng(0).standard_normal((BLOCK + 2, 12))
    together = expanding_quantiles(values, 4)
    for k in (0, BLOCK - 1, BLOCK, BLOCK + 1):
        np.testing.assert_array_equal(together[k], expanding_quantiles(values[k : k + 1], 4)[0])
