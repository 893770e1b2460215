from __future__ import annotations

from datetime import date

import pytest
from pydantic import ValidationError

from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig, parse_as_of
from forecasting.errors import InputError


def test_quantile_columns_are_named_after_their_levels() -> None:
    assert len(LEVELS) == len(QUANTILE_COLUMNS) == 19
    assert [f"q{100 * level:02.0f}" for level in LEVELS] == list(QUANTILE_COLUMNS)
    assert [round(low + high, 12) for low, high in zip(LEVELS, reversed(LEVELS), strict=True)] == [1.0] * 19


def test_the_tutorial_preset_is_the_tutorial() -> None:
    config = ForecastConfig(preset="tutorial")
    assert (config.horizon, config.context, config.hidden, config.batch) == (2, 7, 4, 35)
    assert (config.epochs, config.learning_rate, config.members) == (7000, 0.01, 1)
    assert (config.dropout, config.weight_decay, config.validation_share, config.test_share) == (0, 0, 0, 0.3)


def test_a_value_given_overrides_the_preset_and_none_does_not() -> None:
    config = ForecastConfig.model_validate({"preset": "tutorial", "epochs": 100, "hidden": None})
    assert (config.epochs, config.hidden, config.batch) == (100, 4, 35)


@pytest.mark.parametrize(
    "wrong",
    [
        {"horizon": 0},
        {"horizon": 61},
        {"context": 1},
        {"epochs": 0},
        {"members": 0},
        {"seed": -1},
        {"dropout": 1.0},
        {"learning_rate": 0.0},
        {"test_share": 1.0},
        {"preset": "mine"},
        {"anchor": "high"},
        {"device": "tpu"},
        {"epoch": 3},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ForecastConfig.model_validate(wrong)


def test_a_configuration_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ForecastConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "meant"),
    [("GOOG", {"GOOG"}), (" GOOG, BRK.B,,", {"GOOG", "BRK.B"}), ("", None), (["A", "B"], {"A", "B"})],
)
def test_tickers_may_be_one_text(given: object, meant: set[str] | None) -> None:
    assert ForecastConfig.model_validate({"tickers": given}).tickers == meant


def test_a_text_that_names_no_ticker_is_refused() -> None:
    with pytest.raises(ValidationError, match="name at least one ticker"):
        ForecastConfig.model_validate({"tickers": " , "})


@pytest.mark.parametrize("config", [ForecastConfig(), ForecastConfig(preset="tutorial", tickers=frozenset({"A", "B"}))])
def test_a_configuration_is_read_back_from_json_as_it_was(config: ForecastConfig) -> None:
    assert ForecastConfig.model_validate_json(config.model_dump_json()) == config


def test_as_of_is_a_word_or_a_date() -> None:
    assert parse_as_of("latest") == "latest"
    assert parse_as_of("scheduled") == "scheduled"
    assert parse_as_of("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize("text", ["yesterday", "2023-02-29", "29.02.2024", "", "Latest"])
def test_another_as_of_is_refused_and_the_option_named(text: str) -> None:
    with pytest.raises(InputError, match="--as-of latest, scheduled or YYYY-MM-DD"):
        parse_as_of(text)
