"""The registry's tables: one `case` a profile, whose driver is loaded there: a gateway needs it for claims alone.

In: the configuration. Out: open tables, closed below the yield. Raises `Unavailable` where their server is away.
"""

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, TypeAlias

from headwater.config import Config

if TYPE_CHECKING:
    from storage.mysql_registry import MySqlRegistry
    from storage.sqlite_registry import SqliteRegistry

Tables: TypeAlias = "SqliteRegistry | MySqlRegistry"


def open_tables(config: Config) -> AbstractAsyncContextManager[Tables]:
    """The registry."""
    match config.profile:
        case "embedded":
            from storage.sqlite_registry import open_registry as open_sqlite_registry  # noqa: PLC0415 - see above

            return open_sqlite_registry(config.data / "registry.sqlite")
        case "stack":
            from storage.mysql_registry import open_mysql_registry  # noqa: PLC0415 - see above

            return open_mysql_registry(config.mariadb)
