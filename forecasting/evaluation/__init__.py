"""Held-out forecasts of every model, their scores, and what is published."""
