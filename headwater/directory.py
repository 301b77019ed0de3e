"""A process's own copy of the registry: who is at the door, answered from memory. Implements `ingest.contract.Door`.

In: the entries of topic `registry`, in any cut, repeated or not: the highest version of each key wins. Out: identities,
or `Refused`; a call to each watcher when a credential or right has changed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Literal, NamedTuple

import msgspec
import structlog

from headwater.credentials import LONGEST_SECRET, digest, same
from headwater.errors import Refused, Rejected, Unavailable
from headwater.ids import check_device
from headwater.log import Entry, Log
from headwater.registry import (
    ANONYMOUS,
    ApiKey,
    Certificate,
    Change,
    Device,
    Identity,
    Record,
    RulesChange,
    decode_change,
)
from headwater.registry_follower import RegistryFollower

Key = tuple[type[Record], str]


class _Credential(NamedTuple):
    """What a token's digest is compared with, and who has it. `disabled`: known, but not let in."""

    digest: str
    identity: Identity
    disabled: bool


class Directory:
    """One event loop uses it. It answers while `following` runs, and for `stale_after` seconds without the log.

    `check_every`: seconds between looks whether a change was missed; `clock`: seconds that only grow.
    """

    def __init__(
        self,
        anonymous: Literal["loopback", "never"] = "loopback",
        *,
        stale_after: float = 600.0,
        check_every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._anonymous = anonymous
        self._stale_after = stale_after
        self._check_every = check_every
        self._clock = clock
        self._fresh = float("-inf")
        # Removed ones stay among the records: their version keeps an older entry from bringing them back.
        self._records: dict[Key, Record] = {}
        self._credentials: dict[Key, _Credential] = {}
        self._by_digest: dict[str, _Credential] = {}
        self._watchers: dict[object, Callable[[str], None]] = {}
        self._ruled = asyncio.Event()

    @asynccontextmanager
    async def following(self, log: Log, *, start_time: float = 60.0) -> AsyncGenerator[None, None]:
        """Read the registry to its present end, then apply each change at once. Raises `Unavailable` at start."""
        follower = RegistryFollower(log, self.apply, self.caught_up, self._clock, self._check_every)
        async with follower.running(start_time):
            yield

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        """See `ingest.contract.Door`. On loopback a name without a secret is taken as it is, where that is allowed.

        Raises `Refused`; `Unavailable` if the log has been away for so long that a revocation may have been missed.
        """
        if not secret:
            return self._without_secret(name, loopback=loopback)
        self._check_age()
        given = digest(secret) if len(secret) <= LONGEST_SECRET else ""
        found = self._named(name) if name else self._by_digest.get(given)
        # Compared also where there is nothing to compare with, so that the time does not tell which names exist.
        if not same(given, found.digest if found else digest("")) or found is None:
            raise Refused("bad_credentials", "no such name or token")
        if found.disabled:
            raise Refused("disabled", f"{found.identity.name!r} is disabled")
        return found.identity

    def identify_certificate(self, certificate: Certificate, by: Literal["registry", "cn"]) -> Identity:
        """See `ingest.contract.Door`. The registry knows no certificates; `by` its common name one may come in."""
        if by == "registry":
            raise Refused("bad_credentials", "the registry knows no such certificate")
        self._check_age()
        name = certificate.cn
        try:
            check_device(name)
        except Rejected as error:
            raise Refused("bad_credentials", f"the certificate's common name is no device: {error.detail}") from None
        record = self._records.get((Device, name))
        if isinstance(record, Device) and (record.disabled or record.removed):
            raise Refused("disabled", f"{name!r} is disabled")
        speaks_for = record.speaks_for if isinstance(record, Device) else ()
        return Identity(name=name, device=name, speaks_for=speaks_for)

    def model_of(self, device: str) -> str:
        """The model that the registry names for the device, or ""."""
        record = self._records.get((Device, device))
        return record.model if isinstance(record, Device) and not record.removed else ""

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """See `ingest.contract.Door`."""
        mark = object()
        self._watchers[mark] = changed

        def stop() -> None:
            self._watchers.pop(mark, None)

        return stop

    async def ruled(self, seconds: float = 60.0) -> None:
        """Wait until rules are on the log: a message that came before them would be selected by nothing.

        Raises `Unavailable`.
        """
        try:
            await asyncio.wait_for(self._ruled.wait(), seconds)
        except TimeoutError:
            raise Unavailable("no rules are on the log yet: is `headwater api` running?") from None

    async def applied(self, record: Record, seconds: float = 5.0) -> bool:
        """Wait until this version (or a later one) is what the directory answers by; False if that takes longer."""
        key = (type(record), record.name)
        seen = asyncio.Event()

        def look(_: str) -> None:
            if self._version(key) >= record.version:
                seen.set()

        stop = self.watch(look)
        look(record.name)
        try:
            await asyncio.wait_for(seen.wait(), seconds)
        except TimeoutError:
            return False
        finally:
            stop()
        return True

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take what is new in these entries, and tell the watchers."""
        for change in changes_in(entries):
            if isinstance(change, RulesChange):
                self._ruled.set()
            elif change.version > self._version((type(change), change.name)):
                self._put(change)
                self._tell(change.name)

    def caught_up(self, when: float) -> None:
        """Nothing that was on the log at `when` (by the clock) is missing."""
        self._fresh = max(self._fresh, when)

    def _check_age(self) -> None:
        if self._clock() - self._fresh > self._stale_after:
            raise Unavailable(f"no change of the registry could be seen for {self._stale_after:g} s", retry_after=10)

    def _put(self, record: Record) -> None:
        key = (type(record), record.name)
        self._records[key] = record
        before = self._credentials.pop(key, None)
        if before is not None:
            self._by_digest.pop(before.digest, None)
        if not record.removed:
            credential = self._credentials[key] = _credential(record)
            if credential.digest:
                self._by_digest[credential.digest] = credential

    def _tell(self, name: str) -> None:
        for changed in list(self._watchers.values()):
            try:
                changed(name)
            except Exception:  # noqa: BLE001 - one watcher's fault must not keep a revocation from the others
                structlog.get_logger().exception("a watcher of the registry failed", name=name)

    def _without_secret(self, name: str, *, loopback: bool) -> Identity:
        if not loopback or self._anonymous != "loopback":
            raise Refused("no_credentials", "give a name and a token, or a token")
        if not name:
            return ANONYMOUS
        try:
            check_device(name)
        except Rejected as error:
            raise Refused("bad_credentials", error.detail) from None
        if (known := self._named(name)) is not None and known.disabled:
            raise Refused("disabled", f"{name!r} is disabled")
        return Identity(name=name, trusted=True)

    def _named(self, name: str) -> _Credential | None:
        return self._credentials.get((Device, name)) or self._credentials.get((ApiKey, name))

    def _version(self, key: Key) -> int:
        record = self._records.get(key)
        return 0 if record is None else record.version


def changes_in(entries: Iterable[Entry]) -> list[Change]:
    """The changes that entries of topic `registry` bring. One that nobody here wrote is reported and left out."""
    changes: list[Change] = []
    for entry in entries:
        if entry.value is None:
            continue
        try:
            changes.append(decode_change(entry.value))
        except msgspec.DecodeError as error:
            structlog.get_logger().warning("no change of the registry", offset=entry.offset, error=str(error))
    return changes


def _credential(record: Record) -> _Credential:
    if isinstance(record, Device):
        identity = Identity(name=record.name, device=record.name, speaks_for=record.speaks_for)
        return _Credential(record.token, identity, record.disabled)
    return _Credential(record.digest, Identity(name=record.name, roles=record.roles), disabled=False)
