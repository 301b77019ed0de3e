"""The one door behind all doors: payloads become messages on the log, and receipts are settled when they are there.

In: payloads with identity and source, from HTTP and MQTT. Out: entries on `messages` and `rejected`; receipts with
rejections and `failed`; `release()` to their owners once a flush. Everything up to the queue happens within `accept`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from headwater import times
from headwater.config import Config
from headwater.errors import Rejected
from headwater.ids import ID_LENGTH, check_id, fresh, hashed
from headwater.message import Message, encode
from headwater.metrics import Metrics
from headwater.registry import Identity
from headwater.saying import get_logger
from headwater.times import believed
from ingest.bounds import Bounds, check_size
from ingest.contract import BLOB, Payload, Receipt, Source
from ingest.decoders.catalogue import NATIVE, Catalogue
from ingest.decoders.families import built_in
from ingest.decoders.family import Family
from ingest.decoders.native import read
from ingest.fast_path import FastPath
from ingest.lanes import AppendLog, Lanes, Terms, Waiting, served
from ingest.moments import Moments
from ingest.pressure import Pressure
from ingest.recent import Recent
from ingest.rejects import Rejects
from ingest.routes import ASK_AGAIN, Route, Routes

_log = get_logger()
_PUBLISH = 0.05


class LogIntake:
    """`ingest.contract.Intake` over a log. `async with` starts and stops its lanes.

    `model_of`: the registry's model of a device, "" if it names none; asked about once a second and device.
    `clock`: microseconds since 1970 UTC.
    """

    def __init__(
        self,
        log: AppendLog,
        config: Config,
        metrics: Metrics,
        model_of: Callable[[str], str],
        clock: Callable[[], int] = times.now,
        catalogue: Catalogue | None = None,
    ) -> None:
        self._catalogue = catalogue or built_in()
        self._version = self._catalogue.version
        self.source = self._catalogue.source
        limits = config.ingest
        self._moments = Moments(clock)
        self._metrics = metrics
        self._past = round(limits.past * times.SECOND)
        self._future = round(limits.future * times.SECOND)
        self._bounds = Bounds(limits)
        self._recent = Recent(limits.duplicates)
        self._pressure = Pressure(limits.waiting_messages, limits.waiting_size)
        self._lanes = Lanes(
            Terms(
                log=log,
                linger=limits.linger,
                append_time=limits.append_time,
                took=metrics.append_seconds,
                remember=self._recent.add,
                settle=self._settle,
            )
        )
        self._routes = Routes(log, config, metrics, model_of, self._lanes, self._catalogue)
        self._fast = FastPath(limits, self._bounds, self._routes, self._recent, self._pressure, self._moments)
        self._rejects = Rejects(log, self._lanes, self._pressure, limits.kept_payload)
        self._publishing = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._lanes.stop()
        self._publish()

    @property
    def full(self) -> bool:
        """Too much waits for the log: true from the configured limit up, until half of it is left."""
        return self._pressure.full

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, soon after `full` has become false (soon, if it is)."""
        self._pressure.when_relieved(callback)

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits for the log, at most so long."""
        await self._pressure.until_idle(seconds)
        self._publish()

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        """See `Intake`. Beyond twice the configured limits of what may wait, all of it fails at once."""
        if self._version != self._catalogue.version:
            self._version = self._catalogue.version
            self._routes.renew()
        near = self._routes.near.get(id(source))
        if near is not None and near[0] is source and near[1] is identity:
            route = near[2]
        else:
            route = self._routes.find(identity, source)
        pressure = self._pressure
        route.transport.received += len(payloads)
        if pressure.beyond:
            route.fail(receipt, len(payloads))
        elif not route.plain:
            self._accept_foreign(route, payloads, receipt, key)
        else:
            at = 0 if key else self._fast.take(route, payloads, 0, receipt)
            if at < len(payloads):
                self._accept_rest(route, payloads, at, receipt, key)
        if pressure.count >= pressure.most or pressure.size >= pressure.most_size:
            pressure.look()
        if not self._publishing:
            self._publishing = True
            asyncio.get_running_loop().call_later(_PUBLISH, self._publish)

    def _accept_rest(self, route: Route, payloads: Sequence[bytes], at: int, receipt: Receipt, key: str) -> None:
        """What may be in the native form, but something is odd about the first of it."""
        while at < len(payloads):
            if route.family is not NATIVE:
                self._accept_foreign(route, payloads, receipt, key, at)
                return
            self._accept_native(route, payloads, at, receipt, key)
            at += 1
            if not key:
                at = self._fast.take(route, payloads, at, receipt)

    def _accept_native(self, route: Route, payloads: Sequence[bytes], at: int, receipt: Receipt, key: str) -> None:
        now, data, message = self._moments.take(), payloads[at], None
        try:
            check_size(data, route.most)
            message = read(data, route.device, now)
            self._bounds.check(message)
            if key and not message.id:
                message.id = _keyed(f"{key}.{at}" if len(payloads) > 1 else key)
            self._queue(route, message, data, b"", receipt)
        except Rejected as error:
            self._rejects.add(route, receipt, at, data, error, now, message)

    def _accept_foreign(
        self, route: Route, payloads: Sequence[bytes], receipt: Receipt, key: str, first: int = 0
    ) -> None:
        """Decoders that are not ours, and sources for which there is none. `first`: the index to begin with."""
        for index, data in enumerate(payloads[first:], first):
            now = self._moments.take()
            try:
                family, messages = self._decode(route, data, now)
            except Rejected as error:
                self._rejects.add(route, receipt, index, data, error, now)
                continue
            route.transport.received += len(messages) - 1
            self._moments.latest = now + max(0, len(messages) - 1)
            for n, message in enumerate(messages):
                part = n if len(messages) > 1 else None
                if isinstance(message, Rejected):
                    self._rejects.add(route, receipt, index, data, message, now + n, part=part)
                    continue
                message.received = message.time = now + n
                try:
                    self._bounds.check_foreign(message)
                    if family is not NATIVE:
                        message.decoder = message.decoder if family.names_itself else family.name
                        message.raw = None if n else data  # once is enough to read it again
                    if key and not message.id:
                        parts = [key, *[str(index)] * (len(payloads) > 1), *[str(n)] * (len(messages) > 1)]
                        message.id = _keyed(".".join(parts))
                    self._queue(route, message, data, b"%d" % n if n else b"", receipt)
                except Rejected as error:
                    self._rejects.add(route, receipt, index, data, error, now, message, part=part)

    def _decode(self, route: Route, data: bytes, received: int) -> tuple[Family, Sequence[Message | Rejected]]:
        """Which decoder it is and what it makes of the payload; `Rejected`, whatever it raises."""
        check_size(data, route.most)
        if route.refusal is not None:
            raise Rejected(route.refusal.reason, route.refusal.detail)
        model = self._routes.model_of(route.device) if route.device else ""
        family = route.family or self._catalogue.by_payload(data, model)
        try:
            return family, family.decode(Payload(data, route.source, received, self._catalogue.context, model))
        except Rejected:
            raise
        except Exception as error:  # noqa: BLE001  # a decoder is someone's code on anyone's bytes
            _log.exception("a decoder failed", decoder=family.name, device=route.device)
            raise Rejected("decoder_failed", f"{family.name} failed: {type(error).__name__}") from None

    def _queue(self, route: Route, message: Message, data: bytes, number: bytes, receipt: Receipt) -> None:
        """Check whose it is and what its model says, complete it, put it into its lane. Raises `Rejected`.

        `number`: what tells it from the other messages of the payload, b"" for the first.
        """
        device, received, at = message.device, message.received, message.at
        known = self._routes.devices.get(device)
        if known is None or not 0 <= received - known.asked < ASK_AGAIN:
            known = self._routes.meet(device, received)
        if route.allowed is not None and device not in route.allowed:
            route.check_sender(device)
        if known.check is not None and route.transport.name != BLOB:  # its fields are ours, not the model's
            known.check(message)
        name = ""
        if message.id:
            name = f"{device} {check_id(message.id)}"
        elif at is not None or message.seq is not None:
            message.id = own = hashed(data, number) if number else hashed(data)  # unique within its device
            name = f"{device} {own}"
        else:
            message.id = fresh()
        if name in self._recent.younger or name in self._recent.older:
            route.transport.duplicate += 1
            receipt.accepted += 1
            return
        if at is not None and received - self._past < at < received + self._future:
            message.time = at
        else:
            message.time, message.flag = believed(at, received, self._past, self._future)
        if route.speaker != device:
            message.via = route.speaker
        value = encode(message)
        lane = known.lane
        if lane.stuck:
            route.fail(receipt)
            return
        lane.add(Waiting(known.key, value, receipt, route.transport.accepted, name), len(value))
        receipt.waiting += 1
        receipt.accepted += 1
        self._pressure.count += 1
        self._pressure.size += len(value)

    def _settle(self, durable: Sequence[Waiting], failed: Sequence[Waiting], size: int) -> None:
        """Count a flush, tell the receipts, then the owners of those that wait for nothing more."""
        for waiting in failed:
            waiting.receipt.failed = True
        for fate, count in Counter([waiting.fate for waiting in durable]).items():
            fate.durable.inc(count)
        for fate, count in Counter([waiting.fate for waiting in failed]).items():
            fate.failed.inc(count)
        owners = served((*durable, *failed))
        self._pressure.settled(len(durable) + len(failed), size)
        self._publish()
        for owner in owners:
            try:
                owner.release()
            except Exception:  # noqa: BLE001  # the others are not to wait for ever
                _log.exception("an owner of receipts failed")

    def _publish(self) -> None:
        """Hand the counts to the metrics."""
        self._publishing = False
        for transport in self._routes.transports.values():
            transport.publish()
        self._metrics.waiting.set(self._pressure.count)


def _keyed(key: str) -> str:
    """An Idempotency-Key as a message's id: verbatim where it can be one."""
    return key if len(key) <= ID_LENGTH and key.isprintable() else hashed(key.encode("utf-8", "replace"))
