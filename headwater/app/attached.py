"""A store that may be away when a process starts: opened in the background, again and again until it is there.

In: how to open it. Out: the store, or `Unavailable` for whoever asks while it is away; nobody else is held up.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, Generic, TypeVar, cast

from consumers.backoff import Backoff
from headwater.errors import Unavailable

T = TypeVar("T")

START_SECONDS = 60.0


class Attached(Generic[T]):
    """Give `run` to a supervisor, which calls it again where the store was away."""

    def __init__(self, name: str, opener: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._name = name
        self._opener = opener
        self._store: T | None = None
        self._why = "has not been reached yet"
        self._there = asyncio.Event()

    @property
    def store(self) -> T:
        """The open store; raises `Unavailable`."""
        if self._store is None:
            raise Unavailable(f"{self._name} {self._why}")
        return self._store

    async def reached(self, stop: asyncio.Event) -> T | None:
        """The store, as soon as it is open; None if told to stop before."""
        while not stop.is_set():
            if self._store is not None:
                return self._store
            with suppress(TimeoutError):
                await asyncio.wait_for(self._there.wait(), 1)
        return None

    def proxy(self) -> T:
        """Stands for the store: everything asked of it is asked of the store, or raises `Unavailable`."""
        return cast("T", _Proxy(self))

    async def run(self, stop: asyncio.Event) -> None:
        """Open it and keep it open until `stop`."""
        try:
            async with self._opener() as self._store:
                self._there.set()
                await stop.wait()
        except Unavailable as error:
            self._why = f"is away: {error}"
            raise
        finally:
            self._there.clear()
            self._store = None


class _Proxy:
    def __init__(self, attached: Attached[Any]) -> None:
        self._attached = attached

    def __getattr__(self, name: str) -> object:
        return getattr(self._attached.store, name)


async def patiently(
    stack: AsyncExitStack, opener: Callable[[], AbstractAsyncContextManager[T]], seconds: float = START_SECONDS
) -> T:
    """Open what a process cannot do without; tried for so long. Raises `Unavailable`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    backoff = Backoff(0.2, 5)
    while True:
        try:
            return await stack.enter_async_context(opener())
        except Unavailable:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(backoff.pause())
