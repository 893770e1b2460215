"""The LSTM of every ticker as one tensor program, and its training."""
