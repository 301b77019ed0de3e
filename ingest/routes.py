"""What is known of a sender and of a device before a payload is looked at, so that it is worked out once.

In: identity and source; a device's name. Out: a `Route` for everything that comes that way; a `Known` device with its
lane and its model's check.
"""

from collections.abc import Callable

from msgspec import structs
from prometheus_client import Counter

from headwater.config import Config
from headwater.errors import Rejected
from headwater.ids import check_device
from headwater.log import MESSAGES, partition_for
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Identity
from ingest.contract import BLOB, Receipt, Source
from ingest.decoders.catalogue import NATIVE, Catalogue
from ingest.decoders.family import Family
from ingest.decoders.parts import Values
from ingest.lanes import AppendLog, Fate, Lane, Lanes
from ingest.models import Check, Models

_ROUTES = 32_768
_DEVICES = 65_536
_ALLOWED = 10_000
NUMBERS = frozenset((float, int, bool))
"""The classes of a field's values that are no text."""
ASK_AGAIN = 1_000_000
"""Microseconds after which the registry may have given a device another model."""


class Transport:
    """One transport's counts: whole numbers, handed to the metrics once a flush."""

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.name = name
        self.received = 0
        self.duplicate = 0
        self.failed = metrics.failed.labels(name)
        self.accepted = Fate(metrics.accepted.labels(name), self.failed)
        self._received = metrics.received.labels(name)
        self._duplicate = metrics.duplicate.labels(name)
        self._rejected = metrics.rejected
        self._by_reason: dict[str, Fate] = {}

    def rejected(self, reason: str) -> Fate:
        """Where a message rejected for this reason is counted."""
        fate = self._by_reason.get(reason)
        if fate is None:
            fate = self._by_reason[reason] = Fate(self._rejected.labels(self.name, reason), self.failed)
        return fate

    def publish(self) -> None:
        """Hand the counts over."""
        for counter, count in ((self._received, self.received), (self._duplicate, self.duplicate)):
            _count(counter, count)
        self.received = self.duplicate = 0


def _count(counter: Counter, count: int) -> None:
    if count:
        counter.inc(count)


class Route:
    """Everything about one identity and source. `family` None: the payload has to say; `refusal`: nothing will do.

    `speaker`: what `via` is for devices other than that one. `allowed`: devices that it may send for, as far as known;
    None: for all. `most`: bytes a payload may have. `plain`: what comes may be in the native form.
    `terms`: what the hot path needs of all that, in one look.
    """

    __slots__ = (
        "allowed",
        "device",
        "family",
        "identity",
        "most",
        "plain",
        "refusal",
        "source",
        "speaker",
        "terms",
        "transport",
    )

    def __init__(
        self, identity: Identity, source: Source, transport: Transport, most: int, catalogue: Catalogue
    ) -> None:
        self.identity = identity
        if source.topic and not source.decoder:
            found = catalogue.source(source.topic, source.peer, source.transport)  # one may have come since
            source = structs.replace(source, decoder=found.decoder, device=source.device or found.device)
        self.source = source
        self.transport = transport
        self.most = most
        self.device = source.device
        self.speaker = identity.device or ("" if identity.name == ANONYMOUS.name else identity.name)
        everyone = identity.trusted or "ingest" in identity.roles or "admin" in identity.roles
        self.allowed: set[str] | None = None if everyone else set()
        self.refusal: Rejected | None = None
        self.family: Family | None = None
        try:
            self.family = catalogue.by_source(source)
        except Rejected as refusal:
            self.refusal = refusal
        if self.family not in (None, NATIVE) and not source.device and identity.device:  # `v1/devices/me`: the sender
            self.device = identity.device
            self.source = structs.replace(source, device=identity.device)
        native = self.family is NATIVE or (self.family is None and self.refusal is None)
        self.plain = native and source.transport != BLOB  # a blob's fields are ours, not its model's
        self.terms = self.device, most, self.allowed, self.speaker, transport.accepted

    def fail(self, receipt: Receipt, count: int = 1) -> None:
        """So many messages can't be taken now; the receipt says that the sender must send again."""
        receipt.failed = True
        self.transport.failed.inc(count)

    def check_sender(self, device: str) -> None:
        """Raise `Rejected("not_authorized")` unless this identity may send for the device."""
        if not self.identity.may_send_for(device):
            name = self.identity.name or "this sender"
            raise Rejected("not_authorized", f"{name} may not send for {device}")
        if self.allowed is not None:
            if len(self.allowed) >= _ALLOWED:
                self.allowed.clear()
            self.allowed.add(device)


class Known:
    """A device whose name is good. `asked`: when the registry was last asked for its model, microseconds.

    `foreign`: its model says that it speaks another form than Headwater's own. `texts`: names that were texts lately.
    """

    __slots__ = ("asked", "check", "foreign", "key", "lane", "texts")

    def __init__(self, key: bytes, lane: Lane) -> None:
        self.key = key
        self.lane = lane
        self.check: Check | None = None
        self.asked = 0
        self.foreign = False
        self.texts: tuple[str, ...] = ()

    def apart(self, fields: Values) -> dict[str, str] | None:
        """Take the texts out of `fields`, first where they were lately; None if there are nulls."""
        texts: dict[str, str] = {}
        for name in self.texts:
            value = fields.get(name)
            if type(value) is str:
                texts[name] = value
                del fields[name]
        if NUMBERS.issuperset(map(type, fields.values())):
            return texts
        for name, value in list(fields.items()):
            if value is None:
                return None
            if isinstance(value, str):
                texts[name] = value
                del fields[name]
        self.texts = tuple(texts)
        return texts


class Routes:
    """Routes and devices by what names them. Bounded: when a table is full it is emptied and fills again."""

    def __init__(
        self,
        log: AppendLog,
        config: Config,
        metrics: Metrics,
        model_of: Callable[[str], str],
        lanes: Lanes,
        catalogue: Catalogue,
    ) -> None:
        self.catalogue = catalogue
        self._config = config
        self._metrics = metrics
        self._models = Models(config.models, model_of)
        self._lanes = lanes
        self._partitions = log.partitions(MESSAGES)
        self.model_of = self._models.name_for
        self.transports: dict[str, Transport] = {}
        self.routes: dict[tuple[Identity, Source], Route] = {}
        self.near: dict[int, tuple[Source, Identity, Route]] = {}  # by the id of the source, which it keeps alive
        self.devices: dict[str, Known] = {}

    def find(self, identity: Identity, source: Source) -> Route:
        """The route, by what both say; next time it is found by the source itself, which costs less than a hash."""
        route = self.routes.get((identity, source)) or self._open(identity, source)
        if len(self.near) >= _ROUTES:
            self.near.clear()
        self.near[id(source)] = source, identity, route
        return route

    def _open(self, identity: Identity, source: Source) -> Route:
        if len(self.routes) >= _ROUTES:
            self.routes.clear()
        transport = self.transports.get(source.transport)
        if transport is None:
            transport = self.transports[source.transport] = Transport(source.transport, self._metrics)
        most = self._config.mqtt.payload_size if source.transport == "mqtt" else self._config.http.message_size
        route = self.routes[identity, source] = Route(identity, source, transport, most, self.catalogue)
        return route

    def renew(self) -> None:
        """The table of decoders has changed: every route is worked out again, and whose model is foreign."""
        self.routes.clear()
        self.near.clear()
        self.devices.clear()

    def meet(self, name: str, now: int) -> Known:
        """The device with its lane and its model as of now; raises `Rejected` if that is no name for a device."""
        known = self.devices.get(name)
        if known is None:
            key = check_device(name).encode()
            if len(self.devices) >= _DEVICES:
                self.devices.clear()
            lane = self._lanes.lane(MESSAGES, partition_for(key, self._partitions))
            known = self.devices[name] = Known(key, lane)
        model = self._models.name_for(name)
        known.check = self._models.check_of(model)
        known.foreign = self.catalogue.by_model(model) is not None
        known.asked = now
        return known
