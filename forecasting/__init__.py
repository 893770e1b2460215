"""Daily forecasts of the next sessions' Open: an LSTM per ticker, compared with the obvious alternatives.

The public interface. Each name is imported when it is first used, so that ``import forecasting`` costs nothing.

The modules themselves have more, `forecasting.publish.publish` for example, which writes a run into a store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecasting.config import ForecastConfig
    from forecasting.errors import InputError
    from forecasting.ingest.ingested import prices_from_frame
    from forecasting.ingest.prices import Ingested, read_prices
    from forecasting.pipeline import forecast
    from forecasting.run import Run
    from forecasting.saved_model import forecast_from, read_model
    from forecasting.store.store import Store

__all__ = [
    "ForecastConfig",
    "Ingested",
    "InputError",
    "Run",
    "Store",
    "forecast",
    "forecast_from",
    "prices_from_frame",
    "read_model",
    "read_prices",
]

_MODULES = {
    "ForecastConfig": "config",
    "Ingested": "ingest.prices",
    "InputError": "errors",
    "Run": "run",
    "Store": "store.store",
    "forecast": "pipeline",
    "forecast_from": "saved_model",
    "prices_from_frame": "ingest.ingested",
    "read_model": "saved_model",
    "read_prices": "ingest.prices",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
