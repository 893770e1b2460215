"""``python -m daily_forecast_flows`` is the command ``daily-forecast``."""

import sys

from daily_forecast_flows.command import main

if __name__ == "__main__":
    sys.exit(main())
