"""The parts of reading prices from CSV, each with one question: which files, which bytes, which columns, which values.

:mod:`forecasting.ingest` is the door; nothing else imports from here.
"""
