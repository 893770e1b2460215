"""What is published: the combination, another model where asked or where there is no LSTM, and the reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluate_cases import PRICES, config, evaluated_of, windows_of

from forecasting.config import Reason
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.candidates import Candidate, choose, first_judged
from forecasting.evaluation.evaluate import evaluate
from forecasting.model.training import train


@pytest.mark.parametrize("seed", range(3))
def test_the_choice_is_made_on_validation_alone(make_prices, seed) -> None:
    asked = config(publish="best")
    rows = make_prices("A", 260, seed=seed)
    changed = rows.copy()
    wild = np.exp(0.02 * np.cumsum(np.random.default_rng(seed).standard_normal(int(0.3 * 259))))
    for name in PRICES:
        changed.loc[260 - len(wild) :, name] *= wild
    one, other = (evaluated_of([each], asked) for each in (rows, changed))
    assert one.forecasts["model"].tolist() == other.forecasts["model"].tolist()
    assert one.forecasts["reason"].equals(other.forecasts["reason"])
    assert not np.isclose(one.metrics["crps"], other.metrics["crps"]).any()


def made_up(windows, start, spreads):
    """Candidates whose forecasts are the truth give or take a spread of their own."""
    truth = (windows.log_anchor[:, start:, None] + windows.targets[:, start:])[..., None]
    fan = np.linspace(-1, 1, 19)
    return tuple(
        Candidate(
            model,
            np.zeros_like(windows.log_open[:, start:]),
            np.where(np.isfinite(truth), truth, 4.6) + spread * fan,
            np.ones((len(windows.series), windows.horizon)),
        )
        for model, spread in spreads.items()
    )


@pytest.mark.parametrize(
    ("lstm", "chosen", "reason"),
    [(0.1, "lstm", None), (0.2, "last_close", "lost on validation"), (0.3, "last_close", "lost on validation")],
)
def test_the_best_is_the_lstm_only_where_it_beats_the_best_baseline(frames, lstm, chosen, reason) -> None:
    asked = config(publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"lstm": lstm, "persistence": 0.4, "last_close": 0.2, "ewma_range": 0.3})
    (choices,) = choose(windows, models, {}, asked, start)
    assert [(one.model, one.reason) for one in choices] == [(chosen, reason)] * 3


def test_anchor_open_leaves_close_out_of_the_choice_but_not_of_the_scores(frames) -> None:
    asked = config(anchor="open", publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"lstm": 0.5, "persistence": 0.4, "last_close": 0.1, "ewma_range": 0.3})
    (choices,) = choose(windows, models, {}, asked, start)
    assert {one.model for one in choices} == {"ewma_range"}
    evaluated = evaluated_of(frames[:1], asked)
    assert set(evaluated.forecasts["anchor"]) == {"open"}
    assert "last_close" not in set(evaluated.forecasts["model"])
    assert "last_close" in set(evaluated.metrics["model"])


def test_the_best_is_chosen_for_each_step_by_itself(frames) -> None:
    asked = config(publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = list(made_up(windows, start, {"lstm": 0.2, "persistence": 0.3, "last_close": 0.3, "ewma_range": 0.3}))
    models[0].change[:, :, 1] += 1.0  # the second step is off
    (choices,) = choose(windows, tuple(models), {}, asked, start)
    assert [one.model for one in choices] == ["lstm", "last_close", "lstm"]


def test_a_step_without_validation_rows_has_no_best_model(make_prices) -> None:
    evaluated = evaluated_of([make_prices("A", 160)], config(horizon=40, publish="best"))
    late = evaluated.forecasts[evaluated.forecasts["step"] > int(0.15 * (159 - int(0.3 * 159)))]
    assert len(late) > 10
    assert set(late["model"]) == {"har"}
    assert set(late["reason"]) == {"no validation rows"}


@pytest.mark.parametrize("publish", ["combination", "lstm"])
def test_what_is_asked_for_is_published_for_all_steps(frames, publish) -> None:
    rows = evaluated_of(frames[:1], config(publish=publish)).forecasts
    assert set(rows["model"]) == {publish}
    assert rows["reason"].isna().all()


def test_who_has_no_lstm_gets_har_with_the_reason(evaluated, frames) -> None:
    rows = evaluated.forecasts.query("ticker == 'C'")
    assert set(rows["reason"]) == {"under 150 rows"}
    assert set(rows["model"]) == {"har"}
    asked = config()
    windows = windows_of(frames, asked)
    trained = train(windows, asked)
    skipped = {**trained.skip_reasons, "A": Reason.NOT_CONVERGED}
    lost = evaluate(windows, replace(trained, skip_reasons=skipped), asked)
    mine = lost.forecasts.query("ticker == 'A'")
    assert set(mine["reason"]) == {"did not converge"}
    assert set(mine["model"]) == {"har"}
    assert set(lost.heldout["A"].to_pandas()["model"]) == set(BASELINES)
    for ticker in "BC":
        assert lost.heldout[ticker].equals(evaluated.heldout[ticker])


def test_without_har_the_next_plainer_model_is_published(frames) -> None:
    asked = config()
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"har": 0.1, "ewma_range": 0.2, "last_close": 0.3, "persistence": 0.4})
    expected = ["har", "ewma_range", "last_close", "persistence"]
    for k, name in enumerate(expected):
        (choices,) = choose(windows, models[k:], {"A": Reason.OUT_OF_TIME}, asked, start)
        assert {(one.model, one.reason) for one in choices} == {(name, "time budget spent")}
        models[k].change[...] = np.nan


def test_a_stale_ticker_says_so_whatever_is_published(make_prices) -> None:
    asked = config(publish="best")
    windows = windows_of([make_prices("A", 200)], asked, as_of="2024-07-02")
    start = first_judged(windows)
    for lstm, reason in ((0.1, "stale"), (0.9, "stale; lost on validation")):
        models = made_up(windows, start, {"lstm": lstm, "persistence": 0.4, "last_close": 0.2, "ewma_range": 0.3})
        (choices,) = choose(windows, models, {}, asked, start)
        assert {one.reason for one in choices} == {reason}


def test_without_a_close_everything_starts_from_where_the_range_says_that_it_was(make_prices) -> None:
    rows = make_prices("A", 200).assign(close=np.nan)
    evaluated = evaluated_of([rows])
    last = rows.iloc[-1]
    estimate = last["open"] * (last["high"] / last["open"]) ** 0.8 * (last["low"] / last["open"]) ** 0.75
    assert set(evaluated.forecasts["anchor"]) == {"range"}
    np.testing.assert_allclose(evaluated.forecasts["anchor_price"], estimate)
    assert set(evaluated.metrics["model"]) == {"lstm", "combination", "har", "persistence", "ewma_range"}
    crps = evaluated.metrics.query("step == 1").set_index("model")["crps"]
    assert crps["har"] < 0.8 * crps["persistence"]
    asked = evaluated_of([rows], config(anchor="open"))
    assert set(asked.forecasts["anchor"]) == {"open"}
