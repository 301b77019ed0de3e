"""What goes on now, and how the process is: the live stream, the flow, health and metrics.

In: `/api/v1/stream`, `/api/v1/flow`, `/healthz`, `/readyz`, `/metrics`. Out: events, JSON, Prometheus' text.
"""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from headwater.alarm import Alarm
from headwater.config import Query as QueryConfig
from headwater.log import MESSAGES
from headwater.metrics import Metrics
from headwater.registry import Identity
from ingest.contract import Door
from query.answering import Reader, TimedRoute
from query.auth import may_scrape
from query.events import EventStream
from query.flow import Flow, FlowAnswer
from query.health import Health, HealthAnswer
from query.problems import RESPONSES, Unanswerable
from query.process import Process
from query.replies import reply
from query.stream import Stream, Wanted, read_id
from query.tail import Tail

_CATCH_UP = 2.0

DeviceNames = Annotated[
    list[str], Query(alias="device", max_length=100, description="Only of these devices (repeat it); all, if none.")
]


class Streams:
    """The open streams of one app; `end` lets go of all of them, for stopping."""

    def __init__(self, tail: Tail, door: Door, config: QueryConfig, partitions: int) -> None:
        self._tail = tail
        self._door = door
        self._most = config.streams
        self._partitions = partitions
        self._open: set[asyncio.Event] = set()

    @property
    def count(self) -> int:
        """How many are open."""
        return len(self._open)

    def end(self) -> None:
        """End all of them."""
        for ended in self._open:
            ended.set()

    async def open(self, who: Identity, wanted: Wanted, last_event: str) -> EventStream:
        """One more; raises `Unanswerable` if there are too many. It ends when a right of `who` changes or runs out."""
        if self.count >= self._most:
            raise Unanswerable(503, "too_many_streams", f"{self._most} streams are open: close one, or come later")
        seen = read_id(last_event)
        ended = asyncio.Event()
        unwatch = self._door.watch(lambda name: ended.set() if name == who.name else None)
        alarm = Alarm(who.until, ended.set) if who.until else None
        self._open.add(ended)

        def closed() -> None:
            self._open.discard(ended)
            unwatch()
            if alarm is not None:
                alarm.cancel()

        try:
            caught_up = await self._tail.reach(MESSAGES, _CATCH_UP)
        except BaseException:
            closed()
            raise
        if not caught_up:
            closed()
            raise Unanswerable(503, "catching_up", "the log is being caught up with: come again")
        return EventStream(Stream(self._tail, wanted, self._partitions).events(seen), ended, closed)


def live_routes(streams: Streams, flow: Flow) -> APIRouter:
    """What goes on now."""
    routes = _Live(streams, flow)
    router = APIRouter(responses=RESPONSES, route_class=TimedRoute)
    get = router.add_api_route
    get(
        "/api/v1/stream",
        routes.stream,
        tags=["live"],
        response_class=Response,
        responses={
            200: {
                "description": "Server-sent events.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
        summary="Messages as they arrive",
    )
    get("/api/v1/flow", routes.flow, tags=["live"], response_model=FlowAnswer, summary="Counters, rates, what waits")
    return router


def process_routes(health: Health, metrics: Metrics) -> APIRouter:
    """How the process is."""
    routes = Process(health, metrics)
    router = APIRouter(responses=RESPONSES, route_class=TimedRoute)
    get = router.add_api_route
    get("/healthz", routes.healthz, tags=["system"], response_model=HealthAnswer, summary="Does the process live?")
    get(
        "/readyz",
        routes.readyz,
        tags=["system"],
        response_model=HealthAnswer,
        responses={503: {"model": HealthAnswer, "description": "Not ready."}},
        summary="Can it do its work?",
    )
    get(
        "/metrics",
        routes.metrics,
        tags=["system"],
        dependencies=[Depends(may_scrape)],
        response_class=Response,
        responses={
            200: {"description": "Prometheus' text.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
        summary="Everything that is counted",
    )
    return router


class _Live:
    def __init__(self, streams: Streams, flow: Flow) -> None:
        self._streams = streams
        self._flow = flow

    async def stream(
        self,
        who: Reader,
        devices: DeviceNames = [],  # noqa: B006 - FastAPI copies it
        kind: Annotated[str | None, Query(max_length=128, description="Only of this kind.")] = None,
        rate: Annotated[
            float | None,
            Query(gt=0, le=10_000, description="Messages a second at most; `skipped` events count the rest."),
        ] = None,
        last_event_id: Annotated[
            str, Header(max_length=4096, description="The id of the last event seen: the stream goes on behind it.")
        ] = "",
    ) -> Response:
        """Events: `message` (a history item; its id is `partition:offset`, and where other partitions stand),
        `dropped` (how many this client missed because it was too slow or away too long), `skipped` (see `rate`).
        """  # noqa: D205 - one sentence, for the schema
        return await self._streams.open(who, Wanted(frozenset(devices), kind, rate), last_event_id)

    async def flow(self, _: Reader) -> Response:
        return reply(await self._flow.answer())
