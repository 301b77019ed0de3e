"""A bridge: what another broker has to say, through the same door as all else.

In: PUBLISHes of an existing broker, shared with the other gateways where it speaks MQTT 5. Out: `Intake.accept`; the
broker gets its acknowledgement when the log has the message, or when it will never be valid (it is then in quarantine).
When the log does not take it, the connection is dropped: the broker keeps what was not acknowledged and sends it again.
"""

import asyncio
import random
import socket
import ssl
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from headwater.config_ways import Bridge as Settings
from headwater.errors import ConfigError, Unavailable
from headwater.metrics import Metrics
from headwater.registry import Identity
from headwater.saying import get_logger
from ingest.bridge.link import Broker, Link, OldBroker, linked
from ingest.contract import Intake, Receipt, Source
from ingest.decoders.patterns import compile_pattern
from ingest.quotas import Meter, Quotas

log = get_logger()

TRANSPORT = "bridge"
_SHARE = "bridge-"
_COMMANDS = "/commands"
_RESTS = 10.0
"""Seconds that a connection is not read at most: the broker's answers to pings come by it too."""
_CLOSED = 2
"""Connections in a row that a broker must close at MQTT 5's CONNECT until it is believed not to know it."""


class _Owner:
    """Waits for one receipt."""

    def __init__(self) -> None:
        self.receipt = Receipt(self)
        self._settled = asyncio.Event()

    def release(self) -> None:
        """See `ingest.contract.Owner`."""
        if not self.receipt.waiting:
            self._settled.set()

    async def wait(self) -> bool:
        """True when all of it is durable; False if the log did not take it."""
        if self.receipt.waiting:
            await self._settled.wait()
        return not self.receipt.failed


class Bridge:
    """One broker. Raises `ConfigError` for patterns or files that cannot be used.

    `endpoint`: HOST:PORT of our own MQTT, for what goes back.
    """

    def __init__(
        self, name: str, settings: Settings, intake: Intake, metrics: Metrics, endpoint: str, quotas: Quotas
    ) -> None:
        self.name = f"bridge {name}"
        self.hands_back = bool(settings.back)
        self._name = name
        self._settings = settings
        self._intake = intake
        self._quotas = quotas
        self._quota = quotas.settings.classes.get(settings.quota)
        if settings.quota and self._quota is None:
            raise ConfigError(f"bridges.{name}.quota: quotas.classes has no {settings.quota!r}")
        self._meter: Meter | None = None
        self._open = metrics.connections.labels(TRANSPORT)
        self._identity = Identity(name=f"bridge {name}", speaks_for=settings.devices)
        self._five = settings.version != "3.1.1"
        self._link: Link | None = None
        self._broker = _broker(name, settings)
        self._ours = _ours(name, settings, endpoint)
        try:
            self._topics = [(compile_pattern(theirs), ours) for theirs, ours in settings.topics.items()]
            self._back = [compile_pattern(name) for name in settings.back]
        except ValueError as error:
            raise ConfigError(f"bridges.{name}: {error}") from None
        self._source = lru_cache(maxsize=8192)(self._find_source)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until told to stop; connects again, with growing pauses, whenever the broker is away."""
        pause = self._settings.retry_first
        said, closed = False, 0
        while not stop.is_set():
            five = self._five
            self._five = self._settings.version != "3.1.1"  # whatever it spoke before: it may be another one by now
            try:
                await self._read(stop, five=five)
                pause, said, closed = self._settings.retry_first, False, 0
            except OldBroker as error:
                closed += 1
                if self._settings.version == "auto" and (error.said or closed >= _CLOSED):
                    self._five, closed = False, 0
                    continue
                said = self._waits(error, said=said)
            except Unavailable as error:
                said = self._waits(error, said=said)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(2 * pause, self._settings.retry_most)

    def _waits(self, error: Unavailable, *, said: bool) -> bool:
        """Say so, once."""
        if not said:
            log.warning("a bridge waits for its broker", bridge=self._name, error=str(error))
        return True

    async def _read(self, stop: asyncio.Event, *, five: bool) -> None:
        """One connection, until it is lost or we are told to stop."""
        self._meter = meter = self._quotas.metered(self.name, self._quota)
        try:
            async with linked(self._broker, self._filters(five=five), self._take, five=five) as link:
                await self._stay(link, stop, five=five)
        finally:
            self._meter = None
            self._quotas.ended(meter)

    async def _stay(self, link: Link, stop: asyncio.Event, *, five: bool) -> None:
        self._open.inc()
        self._link = link
        log.info("a bridge reads", bridge=self._name, mqtt="5" if five else "3.1.1")
        waiting = [asyncio.ensure_future(link.lost.wait()), asyncio.ensure_future(stop.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._open.dec()
            self._link = None
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

    def _filters(self, *, five: bool) -> list[str]:
        settings = self._settings
        if settings.share and five:
            return [f"$share/{settings.share}/{name}" for name in settings.filters]
        return list(settings.filters)

    async def run_back(self, stop: asyncio.Event) -> None:
        """Hand messages of our own endpoint on, until told to stop; acknowledged to it when the broker has them.

        One of the gateways does it for each message: they share the subscription. Commands go to whoever stands for
        their device, so they are not shared: each gateway hands them on, and their topic names them.
        """
        filters = [name if _COMMANDS in name else f"$share/{_SHARE}{self._name}/{name}" for name in self._settings.back]
        while not stop.is_set():
            try:
                async with linked(self._ours, filters, self._hand_on, five=True) as link:
                    log.info("a bridge hands back", bridge=self._name)
                    ended = [asyncio.ensure_future(event.wait()) for event in (link.lost, stop)]
                    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
                    for task in ended:
                        task.cancel()
            except Unavailable as error:
                log.warning("a bridge can't hear what it is to hand on", bridge=self._name, error=str(error))
            with suppress(TimeoutError):
                pause = self._settings.retry_first * random.uniform(0.5, 1.0)  # noqa: S311
                await asyncio.wait_for(stop.wait(), pause)

    async def _hand_on(self, ours: Link, topic: str, payload: bytes, _: int) -> None:
        """Returned = our endpoint may forget it."""
        if self._link is not None:
            with suppress(Unavailable):
                await self._link.publish(topic, payload)
                return
        ours.drop()  # and it is sent again

    async def _take(self, link: Link, topic: str, payload: bytes, qos: int) -> None:
        """Returned = the broker may forget it."""
        if any(pattern.fullmatch(topic) for pattern in self._back):
            return  # it came from us
        owner = _Owner()
        self._intake.accept(self._identity, self._source(topic), [payload], owner.receipt)
        if not await owner.wait() and qos:
            link.drop()
        elif self._meter is not None and (wait := self._meter.took(1, len(payload), self._quotas.clock())):
            await self._rest(link, qos, wait)

    async def _rest(self, link: Link, qos: int, seconds: float) -> None:
        """It has brought more than it may: what is acknowledged later holds back what comes next, and is not lost.

        What is not acknowledged is read later.
        """
        self._quotas.throttled(TRANSPORT)
        if qos:
            with suppress(TimeoutError):
                await asyncio.wait_for(link.lost.wait(), seconds)
        else:
            link.rest(min(seconds, _RESTS))

    def _find_source(self, topic: str) -> Source:
        peer = f"{self._broker.host}:{self._broker.port}"
        ours = topic
        for pattern, name in self._topics:
            if fit := pattern.fullmatch(topic):
                ours = name.replace("{device}", fit.groupdict().get("device", ""))
                break
        return self._intake.source(ours, peer, TRANSPORT)


def _broker(name: str, settings: Settings) -> Broker:
    try:
        password = Path(settings.password_file).read_text("utf-8").strip() if settings.password_file else ""
        context = _context(settings) if settings.tls else None
    except (OSError, ValueError) as error:
        raise ConfigError(f"bridges.{name}: {error}") from None
    return Broker(
        host=settings.host,
        port=settings.port,
        client_id=_client_id(name, settings),
        user=settings.user,
        password=password,
        tls=context,
        session=int(settings.session),
        in_flight=settings.in_flight,
        time=settings.time,
    )


def _ours(name: str, settings: Settings, endpoint: str) -> Broker:
    """Our own endpoint, as whoever may hear what goes back."""
    host, _, port = endpoint.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104 - not to be listened on
    try:
        token = Path(settings.back_token_file).read_text("utf-8").strip() if settings.back_token_file else ""
    except OSError as error:
        raise ConfigError(f"bridges.{name}.back_token_file: {error}") from None
    return Broker(
        host=host,
        port=int(port),
        client_id=f"bridge {_client_id(name, settings)}",  # each gateway has its own there, and so here
        user=settings.back_user,
        password=token,
        tls=None,
        session=int(settings.session),
        in_flight=settings.in_flight,
        time=settings.time,
    )


def _client_id(name: str, settings: Settings) -> str:
    return settings.client_id.replace("{name}", name).replace("{host}", socket.gethostname())


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.ca or None)
    if settings.certificate:
        context.load_cert_chain(settings.certificate, settings.key or None)
    return context
