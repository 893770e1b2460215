"""The options: one list for the command line and for the UI's form."""

from __future__ import annotations

import inspect

import pytest

from daily_forecast_flows.options import BackfillOptions, BacktestOptions, Options, parameters_of
from forecasting.config import ForecastConfig
from forecasting.errors import InputError


@parameters_of(Options)
def documented(**given):
    """A flow."""
    return Options(**given)


def test_the_signature_and_the_help_are_those_of_the_model():
    signature = inspect.signature(documented)
    assert sorted(signature.parameters) == sorted(Options.model_fields)
    assert {name: one.default for name, one in signature.parameters.items()} == Options().model_dump()
    assert all(
        f"    {name}: {' '.join(field.description.split())}\n" in f"{documented.__doc__}\n"
        for name, field in Options.model_fields.items()
    )


def test_every_option_says_what_it_is():
    assert [name for name, field in Options.model_fields.items() if not field.description] == []


def test_what_is_not_said_is_the_configurations_default():
    assert Options().config() == ForecastConfig()
    assert Options(preset="tutorial").config() == ForecastConfig(preset="tutorial")


def test_what_is_said_is_the_configurations():
    config = Options(tickers="AAA, BBB", horizon=3, epochs=7, stale_after=2, calendar="24/7").config()
    assert (config.tickers, config.horizon, config.epochs) == (frozenset({"AAA", "BBB"}), 3, 7)
    assert (config.stale_after, config.calendar) == (2, "24/7")


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (Options, {"epochs": 0}),
        (Options, {"horizon": 61}),
        (Options, {"as_of": "yesterday"}),
        (Options, {"as_of": "2024-02-31"}),
        (Options, {"device": "tpu"}),
        (Options, {"time_budget": 0}),
        (Options, {"tickers": ","}),
        (Options, {"nope": 1}),
        (BackfillOptions, {"first": "0001-01-01"}),
        (BackfillOptions, {"last": "2024-02-31"}),
        (BacktestOptions, {"as_of": "2024-02-31"}),
        (BacktestOptions, {"as_of": "scheduled"}),
        (BacktestOptions, {"preset": "tutorial"}),
    ],
)
def test_what_cannot_be_is_refused_as_wrong_input(model, wrong):
    with pytest.raises(InputError):
        model.of(wrong)


def test_what_the_configuration_shares_is_defined_once():
    shared = set(Options.model_fields) & set(ForecastConfig.model_fields) - {"tickers"}
    assert {"horizon", "members", "epochs", "seed", "stale_after"} <= shared
    for name in shared:
        option, setting = Options.model_fields[name], ForecastConfig.model_fields[name]
        assert (option.description, option.default) in (
            (setting.description, setting.default),
            (option.description, None),
        )


def test_a_time_budget_is_in_minutes():
    assert Options(time_budget=2).training_deadline(1000.0) == 1120.0
    assert Options().training_deadline(1000.0) is None


def test_the_form_asks_first_for_what_a_person_sets_and_never_for_none():
    from prefect import flow

    properties = flow(documented).parameters.properties
    by_place = sorted(properties, key=lambda name: properties[name]["position"])
    assert by_place[:4] == ["as_of", "tickers", "restate", "prices"]
    assert [properties[name]["title"] for name in by_place[2:4]] == ["restate", "Advanced: prices"]
    assert properties["epochs"]["type"] == "integer"
    assert properties["as_of"]["pattern"].startswith("^(latest|scheduled|")
    assert "null" not in str(properties)
    assert all(one["description"] for one in properties.values())
