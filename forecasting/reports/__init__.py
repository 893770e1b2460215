"""Pages and charts: the report of a run and the record of its scores."""
