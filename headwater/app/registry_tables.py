"""The registry's tables: one `case` a profile. Here by itself, since a gateway needs them for claims, and no store.

In: the configuration. Out: open tables, closed below the yield. Raises `Unavailable` where their server is away.
"""

from contextlib import AbstractAsyncContextManager

from headwater.config import Config
from storage.mysql_registry import MySqlRegistry, open_mysql_registry
from storage.sqlite_registry import SqliteRegistry
from storage.sqlite_registry import open_registry as open_sqlite_registry

Tables = SqliteRegistry | MySqlRegistry


def open_tables(config: Config) -> AbstractAsyncContextManager[Tables]:
    """The registry."""
    match config.profile:
        case "embedded":
            return open_sqlite_registry(config.data / "registry.sqlite")
        case "stack":
            return open_mysql_registry(config.mariadb)
