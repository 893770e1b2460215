"""The backtest: what every model would have forecast from many past sessions, with what was known then."""
