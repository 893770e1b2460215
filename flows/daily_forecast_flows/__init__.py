"""The orchestration: thin Prefect flows over the library, their command line, and what brings Prefect up and down."""
