"""The folder of published forecasts: written whole or not at all, locked, verified, pruned."""
