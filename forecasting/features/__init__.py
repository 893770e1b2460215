"""Prices to arrays: Open and High-Low of each ticker, splits of time, windows, scaling."""
