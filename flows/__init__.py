"""The orchestration: thin Prefect flows over the library, their command lines, and what brings Prefect up and down."""
