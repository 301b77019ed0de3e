"""DuckDB as it is used here: in memory, with bounded memory and threads, nothing from the network, times in UTC."""

from pathlib import Path

import duckdb


def connect(scratch: Path, threads: int, memory: str) -> duckdb.DuckDBPyConnection:
    """A database of its own. What does not fit into `memory` goes to the scratch folder."""
    database = duckdb.connect(
        ":memory:",
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(scratch / "duck"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    database.execute("SET GLOBAL TimeZone = 'UTC'")
    return database
