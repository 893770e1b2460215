from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from forecasting.features.scaling import Scaler, fit_scaler

VALUES = arrays(
    np.float64,
    (3, 12, 2),
    elements=st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")), st.just(5.0)),
    fill=st.nothing(),
)
SEEN = arrays(np.bool_, (3, 12))
KINDS = st.sampled_from(["standard", "minmax"])


@settings(max_examples=30)
@given(VALUES, SEEN, KINDS)
def test_scaled_values_come_back(values, seen, kind) -> None:
    scaler = fit_scaler(values, seen, kind)
    back = scaler.unscale(scaler.scale(values))
    np.testing.assert_allclose(back, values, rtol=1e-9, atol=1e-6)  # of values up to a million


@settings(max_examples=30)
@given(VALUES, SEEN, KINDS)
def test_what_was_not_seen_does_not_matter(values, seen, kind) -> None:
    scaler = fit_scaler(values, seen, kind)
    again = fit_scaler(np.where(seen[:, :, None], values, 1e9), seen, kind)
    np.testing.assert_array_equal(again.offset, scaler.offset)
    np.testing.assert_array_equal(again.range, scaler.range)


@pytest.mark.parametrize(("kind", "known"), [("standard", StandardScaler), ("minmax", MinMaxScaler)])
def test_each_ticker_is_scaled_as_it_would_be_alone(kind, known) -> None:
    stream = np.random.default_rng(0)
    values = stream.normal([[[5.0, 1e3]], [[-2.0, 1e-3]]], [[[1.0, 20.0]], [[7.0, 1e-5]]], (2, 40, 2))
    values[1, :15] = np.nan  # a shorter ticker
    seen = np.zeros((2, 40), dtype=bool)
    seen[:, 3:30] = True
    scaled = fit_scaler(values, seen, kind).scale(values)
    for k in range(2):
        np.testing.assert_allclose(scaled[k], known().fit(values[k, seen[k]]).transform(values[k]), rtol=1e-9)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_constant_is_scaled_to_zeros(kind) -> None:
    values = np.full((1, 5, 1), 0.1)
    scaler = fit_scaler(values, np.ones((1, 5), dtype=bool), kind)
    assert scaler.range.item() == 1
    np.testing.assert_allclose(scaler.scale(values), 0, atol=1e-15)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_ticker_without_rows_hurts_none(kind) -> None:
    values = np.stack([np.arange(6.0), np.full(6, np.nan)])[:, :, None]
    seen = np.array([[True] * 6, [False] * 6])
    scaler = fit_scaler(values, seen, kind)
    assert (scaler.offset[1].item(), scaler.range[1].item()) == (0, 1)
    alone = fit_scaler(values[:1], seen[:1], kind)
    np.testing.assert_array_equal(scaler.offset[:1], alone.offset)


def test_an_error_is_turned_back_by_the_range_alone() -> None:
    opens = np.array([279.12, 816.68]).reshape(1, 2, 1)  # least and greatest of the tutorial's targets
    scaler = fit_scaler(opens, np.ones((1, 2), dtype=bool), "minmax")
    error = np.array([[[0.0756]]])
    assert scaler.unscale_errors(error).item() == pytest.approx(0.0756 * 537.56)
    # What the tutorial's last line prints: the inverse transform adds the minimum, as to a price.
    assert scaler.unscale(error).item() == pytest.approx(319.75, abs=0.02)


@given(arrays(np.float64, (1, 4, 1), elements=st.floats(-1e3, 1e3)), st.floats(-1e3, 1e3), st.floats(1e-3, 1e3))
def test_unscaled_errors_are_the_errors_of_unscaled_values(truth, offset, spread) -> None:
    scaler = Scaler(np.full((1, 1, 1), offset), np.full((1, 1, 1), spread))
    forecast = truth[:, ::-1]
    errors = scaler.unscale(forecast) - scaler.unscale(truth)
    np.testing.assert_allclose(scaler.unscale_errors(forecast - truth), errors, rtol=1e-9, atol=1e-7)
