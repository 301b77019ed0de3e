"""A connection to MongoDB, and what its errors mean here.

In: the section `mongodb`. Out: a client whose every call ends in time, as a result or as `Unavailable`; and for each
record of an unordered bulk write whether it is there already, can never be stored, or must be tried again.
"""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, ConfigurationError, PyMongoError

from headwater.config_stack import MongoDb
from headwater.errors import ConfigError, Unavailable
from storage.mongo_document import Document

DUPLICATE = 11000
_NEVER = {
    2: "bad value",
    9: "failed to parse",
    14: "type mismatch",
    22: "invalid BSON",
    52: "a name begins with a dollar",
    57: "a name with a dot",
    121: "refused by the collection's validator",
    10334: "too large",
    16755: "a location that its index does not take",
    17280: "a key too long for its index",
    17419: "too large",
    17420: "too large",
}
"""Codes of write errors that are the document's own fault; any other may pass."""


@asynccontextmanager
async def connected(config: MongoDb) -> AsyncGenerator[AsyncMongoClient[Document], None]:
    """A client; it connects by itself when it is used. Options of the URL come before ours. Raises `ConfigError`."""
    if not config.url.startswith(("mongodb://", "mongodb+srv://")):
        raise ConfigError("mongodb.url begins with mongodb:// or mongodb+srv://")
    limit = round(config.time * 1000)
    options: dict[str, Any] = {"timeoutMS": limit, "serverSelectionTimeoutMS": limit, "connectTimeoutMS": limit}
    if config.user:
        options |= {"username": config.user, "password": config.password.get_secret_value()}
    given = {option.partition("=")[0].lower() for option in config.url.partition("?")[2].split("&")}
    options = {name: value for name, value in options.items() if name.lower() not in given}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error", UserWarning
            )  # how the driver reports an option of the URL that it leaves out
            client: AsyncMongoClient[Document] = AsyncMongoClient(config.url, appname="headwater", **options)
    except (ConfigurationError, ValueError, UserWarning) as error:
        raise ConfigError(f"mongodb.url: {error}") from None
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def bounded(seconds: float) -> AsyncGenerator[None, None]:
    """Calls within it end in time; whatever the driver raises is `Unavailable`."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Unavailable(f"mongodb did not answer within {seconds:g} s") from None
    except PyMongoError as error:
        raise Unavailable(f"mongodb: {error}"[:500]) from error


def judged(error: BulkWriteError) -> tuple[list[int], dict[int, str]]:
    """Indexes of operations whose key was there, and of those refused for ever with the reason.

    All other operations are durable. Raises `Unavailable` where that is not known.
    """
    details: Mapping[str, Any] = error.details
    if details.get("writeConcernErrors"):
        raise Unavailable(f"mongodb: {details['writeConcernErrors'][0].get('errmsg', 'not yet durable')}") from error
    present: list[int] = []
    refused: dict[int, str] = {}
    for failure in details.get("writeErrors", ()):
        index, code = failure["index"], failure.get("code")
        if code == DUPLICATE:
            present.append(index)
        elif code in _NEVER:
            refused[index] = f"{_NEVER[code]}: {failure.get('errmsg', '')}"[:500]
        else:
            raise Unavailable(f"mongodb: {failure.get('errmsg', code)}"[:500]) from error
    return present, refused
