"""Staying in a group: join, work, and join again after whatever can pass.

In: a worker's loop over one subscription. Out: that loop, run until it returns; each error goes to the worker's state.
"""

import asyncio
from collections.abc import Awaitable, Callable

from consumers.backoff import Backoff
from consumers.stopping import pause
from consumers.worker_state import WorkerState
from headwater.errors import OffsetOutOfRange, Stale, Unavailable
from headwater.log import Hooks, Log, Subscription
from headwater.saying import get_logger

logger = get_logger()

Work = Callable[[Subscription], Awaitable[None]]
"""Takes batches until it is told to stop, or finds that it must; leaves it by raising what it cannot handle."""


class Membership:
    """One worker's place in its group. `state` says how it is doing."""

    def __init__(self, log: Log, state: WorkerState, hooks: Hooks, backoff: Backoff) -> None:
        self._log = log
        self.state = state
        self._hooks = hooks
        self._backoff = backoff

    async def keep(self, work: Work, stop: asyncio.Event) -> None:
        """Work until it returns.

        `Stale` and `Unavailable` lead to a pause and a new subscription, which asks the store where to start;
        `OffsetOutOfRange` stops the worker for good.
        """
        state = self.state
        while not stop.is_set():
            try:
                async with self._log.subscribe([state.topic], state.group, self._hooks) as subscription:
                    await work(subscription)
                break
            except OffsetOutOfRange as error:
                self.give_up(f"entries are gone that this worker has not seen: {error}")
                return
            except (Stale, Unavailable) as error:
                self.rest(f"{type(error).__name__}: {error}")
            await pause(stop, self._backoff.pause())
        if not state.failed:
            state.move("stopped")

    def rest(self, reason: str) -> None:
        """The worker waits until something has passed. One line when that begins."""
        if self.state.move("resting", reason):
            logger.warning("worker rests", worker=self.state.name, topic=self.state.topic, reason=reason)

    def well(self) -> None:
        """The worker works. One line where it had rested."""
        self._backoff.reset()
        rested = self.state.state == "resting"
        if self.state.move("running") and rested:
            logger.info("worker goes on", worker=self.state.name, topic=self.state.topic)

    def give_up(self, reason: str) -> None:
        """The worker stops, and a person must act. One line."""
        self.state.move("stopped", reason)
        logger.error("worker stopped", worker=self.state.name, topic=self.state.topic, reason=reason)
