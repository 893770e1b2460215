"""The library's own commands, one module each."""
