"""``python flows/backtest.py`` is ``daily-forecast backtest``; the flow is in daily_forecast_flows/backtest.py."""

import sys

from daily_forecast_flows.command import main

if __name__ == "__main__":
    sys.exit(main(["backtest", *sys.argv[1:]]))
