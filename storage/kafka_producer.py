"""From lanes to brokers: one request a broker at a time, with what all of its partitions have waiting.

In: lanes with calls. Out: each lane's calls landed at offsets, or failed with a reason. Idempotent: a batch keeps its
bytes, and with them producer id and sequence numbers, however often it is sent, so that a broker takes it once. A
producer that could not deliver a batch in time is retired: nobody knows what became of it, so nothing may follow it
under the same numbers. It takes no more lanes, and ends when those it carries are through.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

from headwater.config_stack import Kafka
from headwater.errors import Unavailable
from headwater.log import TopicPartition
from headwater.saying import get_logger
from storage.kafka_brokers import Answer, Brokers, Numbers
from storage.kafka_client import ENTRY_SIZE
from storage.kafka_lane import Batch, Lane

CLOSED = "the log is closed"
_PAUSE = 0.1
_PAUSE_MOST = 1.0
_SEQUENCES = 0x7FFFFFFF


class Producer:
    """A producer id, its sequence numbers, and the lanes it carries.

    `back`: takes a lane that has calls and that a retired producer carries no more. `ended`: told once, when it is
    retired and carries nothing.
    """

    def __init__(
        self,
        config: Kafka,
        topics: Sequence[str],
        numbers: Numbers,
        back: Callable[[Lane], None],
        ended: Callable[["Producer"], None],
    ) -> None:
        self._brokers = Brokers(config, topics, numbers)
        self._time = config.request_time
        self._back = back
        self._ended = ended
        self._retired = self._over = self._refused = False
        self._lanes: set[Lane] = set()
        self._ready: dict[int, dict[Lane, None]] = {}
        self._rounds: dict[int, asyncio.Task[None]] = {}
        self._sequences: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Be ready to carry. Raises `Unavailable`."""
        await self._brokers.start()

    @property
    def successor(self) -> Numbers:
        """The numbers of who goes on in its place, so that nothing of this one lands behind what that one sends.

        New ones, if a broker refused what it was sent: it may not know these.
        """
        return Numbers() if self._refused else self._brokers.numbers.next()

    @property
    def retired(self) -> bool:
        """It takes no more lanes."""
        return self._retired

    def carry(self, lane: Lane) -> None:
        """Send what waits there until nothing does."""
        lane.carried = True
        lane.pause = _PAUSE
        lane.deadline = asyncio.get_running_loop().time() + self._time
        self._lanes.add(lane)
        self._queue(lane)

    def stop(self) -> None:
        """Take nothing more, and begin nothing more."""
        self._retired = self._over = True

    async def close(self) -> None:
        """Let go of everything; what is on its way has failed."""
        self.stop()
        rounds = list(self._rounds.values())
        for task in rounds:
            task.cancel()
        if rounds:
            await asyncio.wait(rounds, timeout=1)
        for lane in list(self._lanes):
            self._fail(lane, CLOSED)
        await self._brokers.close()

    def _queue(self, lane: Lane) -> None:
        """It is to be in a request to its leader."""
        if self._over or lane not in self._lanes:
            return  # it failed while it rested
        node = self._brokers.leader(lane.at)
        if node is None:
            self._rest(lane, "no broker leads it")
            return
        self._ready.setdefault(node, {})[lane] = None
        if node not in self._rounds:
            self._rounds[node] = asyncio.get_running_loop().create_task(self._serve(node))

    async def _serve(self, node: int) -> None:
        """One request after the other, until no lane has anything for this broker."""
        lanes: Mapping[Lane, Batch] = {}
        try:
            while lanes := self._take(node):
                await self._send(node, lanes)
                lanes = {}
        except BaseException as error:  # whatever it was, nothing is known to be durable
            self._retired = True
            if isinstance(error, Exception):
                get_logger().exception("appending to kafka went wrong")
            for lane in {*lanes, *self._ready.pop(node, ())} & self._lanes:
                self._fail(lane, CLOSED if self._over else str(error) or type(error).__name__)
            if not isinstance(error, Exception):
                raise
        finally:
            del self._rounds[node]

    def _take(self, node: int) -> Mapping[Lane, Batch]:
        """Lanes for a request, each with its batch: as many as it may have, in turn."""
        ready = self._ready.get(node, {})
        taken: dict[Lane, Batch] = {}
        size = 0
        time = asyncio.get_running_loop().time()
        while ready and size < ENTRY_SIZE:
            lane = next(iter(ready))
            del ready[lane]
            if lane not in self._lanes:
                continue
            if time > lane.deadline or (lane.batch is None and time > lane.calls[0].deadline):
                self._fail(lane, "it had waited too long")
            elif lane.batch is None and self._retired:
                self._give_back(lane)
            elif (batch := lane.batch or self._fill(lane)) is not None:
                taken[lane] = batch
                size += len(batch.data)
        return taken

    def _fill(self, lane: Lane) -> Batch | None:
        """The lane's next batch. If it cannot be made the lane has failed, and no other."""
        sequence = self._sequences.get(lane.at, 0)
        try:
            batch = lane.fill(self._brokers.builder(sequence))
        except Exception as error:  # noqa: BLE001 whatever is wrong with these entries
            self._fail(lane, f"{type(error).__name__}: {error}")
            return None
        self._sequences[lane.at] = (sequence + batch.count) & _SEQUENCES
        return batch

    async def _send(self, node: int, lanes: Mapping[Lane, Batch]) -> None:
        try:
            answers = await self._brokers.produce(node, [(lane.at, batch.data) for lane, batch in lanes.items()])
        except Unavailable as error:
            self._brokers.refresh()
            for lane in lanes:
                self._rest(lane, str(error))
            return
        for lane in lanes:
            answer = answers.get(lane.at)
            if answer is None:
                self._rest(lane, "the broker said nothing about it")
            elif not answer.error:
                self._landed(lane, answer)
            elif answer.again:
                self._rest(lane, answer.error)
            else:
                self._refused = True
                self._fail(lane, answer.error)

    def _landed(self, lane: Lane, answer: Answer) -> None:
        if answer.offset < 0:
            self._fail(lane, "it was delivered before, at an offset that is no longer known")
            return
        lane.landed(answer.offset)
        if not lane.calls:
            self._drop(lane)
        elif self._retired:
            self._give_back(lane)
        else:
            lane.pause = _PAUSE
            lane.deadline = asyncio.get_running_loop().time() + self._time
            self._queue(lane)

    def _rest(self, lane: Lane, why: str) -> None:
        """Try again in a moment, or never if it is late by then."""
        loop = asyncio.get_running_loop()
        pause = lane.pause * (0.5 + random.random() / 2)  # noqa: S311 -- not for secrets
        lane.pause = min(2 * lane.pause, _PAUSE_MOST)
        if loop.time() + pause > lane.deadline:
            self._fail(lane, why)
            return
        self._brokers.refresh()
        loop.call_later(pause, self._queue, lane)

    def _fail(self, lane: Lane, why: str) -> None:
        if lane.batch is not None:  # else nothing was sent, and the numbers go on
            self._retired = True
        self._drop(lane)
        lane.fail(f"append to {lane.at.topic}/{lane.at.partition}: {why}")

    def _give_back(self, lane: Lane) -> None:
        self._drop(lane)
        self._back(lane)

    def _drop(self, lane: Lane) -> None:
        self._lanes.discard(lane)
        lane.carried = False
        if self._retired and not self._lanes and not self._over:
            self._over = True
            self._ended(self)
