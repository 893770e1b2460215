"""The backtest: what every model would have forecast from many past sessions, by what was known then."""
