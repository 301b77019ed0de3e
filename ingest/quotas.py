"""Quotas: how much each sender may, how long it has to wait when it has had more, and how much it was.

In: who came, from where; how many messages and bytes a read or request brought. Out: seconds to wait; limits of a
class; and the rates of a period, for `ingest.rates`. Nothing is counted a message: a read is one step.

What a read brings is taken whatever is left (`ingest.buckets`), and who owes anything waits. So a sender gets its rate
in the long run, and nothing of what it sent is lost.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from headwater.config_quotas import Quota
from headwater.config_quotas import Quotas as Settings
from headwater.registry import Identity
from ingest.buckets import Bucket, Buckets, Rate

_CLIENTS = 50_000
_SENDERS = 50_000
_ADDRESSES = 10_000
"""The most that are remembered of each kind; beyond, the oldest is forgotten, and begins anew."""
_AT_ONCE = 5.0
"""CONNECTs of a client that may come at once: a bad line breaks more than once in a second."""
_BURST = 10.0
"""Seconds' worth of claims of an address, and of requests of a key, that may come at once."""


class Sum(NamedTuple):
    """What one device, or one address, has done in a period."""

    messages: int = 0
    size: int = 0
    connects: int = 0
    refused: int = 0

    def plus(self, *, messages: int = 0, size: int = 0, connects: int = 0, refused: int = 0) -> "Sum":
        """Both together."""
        return Sum(self.messages + messages, self.size + size, self.connects + connects, self.refused + refused)


class Meter:
    """What one connection, or one device over HTTP, sends: two buckets in one, since every read comes by here.

    `until`: seconds of the clock, when nothing is owed any more.
    """

    __slots__ = (
        "_all", "_at", "_depth", "_left", "_rate", "_size_depth", "_size_left", "_size_rate", "address", "messages",
        "name", "size", "until",
    )  # fmt: skip

    def __init__(self, name: str, address: str, quota: Quota | None, everyone: Bucket | None, now: float) -> None:
        self.name = name
        self.address = address
        self.messages = 0  # since the latest report
        self.size = 0
        self.until = now
        self._all = everyone if quota is not None else None
        self._at = now
        self._rate, self._size_rate = (quota.publishes, quota.size) if quota is not None else (0.0, 0)
        self._depth = self._left = max(self._rate, 1.0)
        self._size_depth = self._size_left = float(self._size_rate)

    def took(self, messages: int, size: int, now: float) -> float:
        """Count what has come; returns the seconds after which more may."""
        self.messages += messages
        self.size += size
        passed = now - self._at
        self._at = now
        wait = 0.0
        rate = self._rate
        if rate:
            left = self._left + passed * rate
            self._left = left = (left if left < self._depth else self._depth) - messages  # noqa: FURB136 - no call
            if left < 0:
                wait = -left / rate
        rate = self._size_rate
        if rate:
            left = self._size_left + passed * rate
            self._size_left = left = (left if left < self._size_depth else self._size_depth) - size  # noqa: FURB136
            if left < 0 and -left / rate > wait:
                wait = -left / rate
        if self._all is not None:
            wait = max(wait, self._all.take(messages, now))
        self.until = now + wait
        return wait


class Rates(NamedTuple):
    """What came in a period of so many seconds."""

    seconds: float
    devices: Mapping[str, Sum]
    addresses: Mapping[str, Sum]


_UNLIMITED: Final = Quota(
    publishes=0,
    size=0,
    connects=0,
    blobs=0,
    blob_size=0,
    packet_size=2**40,
    in_flight=65_535,
    subscriptions=2**31,
    sessions=2**31,
    topic_length=65_535,
)


class Quotas:
    """Those of one process. `clock`: seconds that only grow. `throttled`: told of waits, `api`, `blob` or `bridge`."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.throttled: Callable[[str], None] = _nobody
        self.clock = self._clock = clock
        now = clock()
        self._since = now
        self._connects = Bucket(settings.connects, settings.connects, now) if settings.connects else None
        self._publishes = Bucket(settings.publishes, settings.publishes, now) if settings.publishes else None
        self._clients = Buckets(_CLIENTS, clock)
        self._claiming = Buckets(_ADDRESSES, clock)
        self._requests = Buckets(_SENDERS, clock)
        self._blobs = Buckets(_SENDERS, clock)
        self._blob_sizes = Buckets(_SENDERS, clock)
        self._wills = Buckets(_SENDERS, clock)
        self._open: set[Meter] = set()
        self._senders: dict[tuple[str, str], Meter] = {}
        self._devices: dict[str, Sum] = {}
        self._addresses: dict[str, Sum] = {}

    def of(self, identity: Identity) -> Quota:
        """The limits of whoever this is. A class that is not configured is the default."""
        if not identity.device:
            return _UNLIMITED
        return self.settings.classes.get(identity.quota, self.settings.default)

    def has_room(self, *, loopback: bool) -> bool:
        """Whether one more CONNECT may come now, whoever it is from."""
        return loopback or self._connects is None or not self._connects.spare(self._clock())

    def may_connect(self, identity: Identity, client: str, address: str) -> bool:
        """Whether this client may connect again so soon. `client`: names it among all."""
        if not identity.trusted:
            self._note(_called(identity), address, connects=1)
        rate = self.of(identity).connects
        return not self._clients.spare(client, Rate(rate, max(_AT_ONCE, rate)))

    def provisioning(self, address: str) -> float:
        """For a device that comes by a claim: 0 and it counts, or the seconds after which it may try again."""
        rate = self.settings.claims
        return self._claiming.spare(address, Rate(rate, _BURST * rate))

    def request(self, identity: Identity) -> float:
        """For a question or order to the API: 0 and it counts, or the seconds after which it may come again."""
        rate = self.settings.requests
        return 0.0 if identity.trusted else self._requests.spare(_called(identity), Rate(rate, _BURST * rate))

    def blob(self, identity: Identity) -> float:
        """For a large payload that is about to come: as `request`."""
        if not identity.device:
            return 0.0
        rate = self.of(identity).blobs
        return self._blob_sizes.owed(identity.name) or self._blobs.spare(identity.name, Rate(rate, _BURST * rate))

    def blob_came(self, identity: Identity, address: str, size: int) -> None:
        """So much of one has come, whether all of it did or not."""
        if identity.trusted:
            return
        self._note(_called(identity), address, messages=1, size=size)
        if identity.device:
            rate = self.of(identity).blob_size
            self._blob_sizes.take(identity.name, Rate(rate, rate), size)

    def will(self, identity: Identity, address: str, size: int) -> None:
        """A will of its sender is published. It is never dropped: what it owes is waited for before the next one."""
        if identity.trusted:
            return
        self._note(_called(identity), address, messages=1, size=size)
        if identity.device:
            rate = self.of(identity).publishes
            self._wills.take(identity.name, Rate(rate, rate), 1)
            if self._publishes is not None:
                self._publishes.take(1, self._clock())

    def owes_wills(self, identity: Identity) -> bool:
        """Whether it has to wait before it may connect with another will."""
        return self._wills.owed(identity.name) > 0

    def refused(self, address: str) -> None:
        """Someone from there was refused for who they are."""
        self._note("", address, refused=1)

    def metered(self, name: str, quota: Quota | None) -> Meter:
        """For a connection of our own to another broker; give it to `ended` at its end. `quota` None: no limit."""
        meter = Meter(name, "", quota or _UNLIMITED, self._publishes, self._clock())
        self._open.add(meter)
        return meter

    def meter(self, identity: Identity, address: str) -> Meter | None:
        """For a new connection; give it to `ended` at its end. None: nobody counts what it sends."""
        if identity.trusted:
            return None
        meter = self._new(identity, address)
        self._open.add(meter)
        return meter

    def ended(self, meter: Meter) -> None:
        """Its connection is closed."""
        self._open.discard(meter)
        self._fold(meter)

    def wait(self, identity: Identity, address: str, messages: int, size: int) -> float:
        """For a request that is not a connection's: 0 and it counts, or the seconds after which it may come again."""
        if identity.trusted:
            return 0.0
        meter = self._senders.get((identity.name, address))
        if meter is None:
            if len(self._senders) >= _SENDERS:
                self._fold(self._senders.pop(next(iter(self._senders))))
            meter = self._senders[identity.name, address] = self._new(identity, address)
        now = self._clock()
        if meter.until <= now:
            meter.took(messages, size, now)
            return 0.0
        return meter.until - now

    def rates(self) -> Rates:
        """Of the time since this was asked the last time."""
        now = self._clock()
        for meter in (*self._open, *self._senders.values()):
            self._fold(meter)
        found = Rates(now - self._since, self._devices, self._addresses)
        self._since, self._devices, self._addresses = now, {}, {}
        return found

    def _new(self, identity: Identity, address: str) -> Meter:
        quota = self.of(identity) if identity.device else None
        return Meter(_called(identity), address, quota, self._publishes, self._clock())

    def _fold(self, meter: Meter) -> None:
        if meter.messages:
            self._note(meter.name, meter.address, messages=meter.messages, size=meter.size)
        meter.messages = meter.size = 0

    def _note(self, name: str, address: str, **counts: int) -> None:
        if name and (name in self._devices or len(self._devices) < _SENDERS):
            self._devices[name] = self._devices.get(name, _NOTHING).plus(**counts)
        if address and (address in self._addresses or len(self._addresses) < _ADDRESSES):
            self._addresses[address] = self._addresses.get(address, _NOTHING).plus(**counts)


def host_of(peer: str) -> str:
    """The address in HOST:PORT."""
    return peer.rpartition(":")[0].strip("[]").partition("%")[0]


def _nobody(_: str) -> None:
    """Nobody counts it."""


def _called(identity: Identity) -> str:
    """Its name; all that came by one claim count together."""
    return f"claim {identity.claim}" if identity.claim else identity.name


_NOTHING: Final = Sum()
