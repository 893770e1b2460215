"""``python flows/backfill.py`` is ``daily-forecast backfill``; the flow is in daily_forecast_flows/backfill.py."""

import sys

from daily_forecast_flows.command import main

if __name__ == "__main__":
    sys.exit(main(["backfill", *sys.argv[1:]]))
