"""Reading prices from CSV. :mod:`forecasting.ingest.prices` is the door; each other module answers one question."""
