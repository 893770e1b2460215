"""Daily forecasts of the next sessions' Open: an LSTM per ticker, scored beside the obvious alternatives."""
