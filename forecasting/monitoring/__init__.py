"""How published forecasts turned out."""
