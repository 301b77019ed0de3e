"""A process's own copy of the registry: who is at the door, answered from memory. Implements `ingest.contract.Door`.

In: the entries of topic `registry`, in any cut, repeated or not: the highest version of each key wins. Out: identities,
or `Refused`; a call to each watcher when a credential or right has changed.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

import msgspec

from headwater import passes
from headwater.credentials import LONGEST_SECRET, digest, same
from headwater.errors import Refused, Rejected, Unavailable
from headwater.ids import check_device
from headwater.known import Known
from headwater.log import Entry, Log
from headwater.registry import (
    ANONYMOUS,
    Certificate,
    Change,
    DecoderText,
    Device,
    Identity,
    Record,
    Role,
    RulesChange,
    Signer,
    decode_change,
)
from headwater.registry_follower import RegistryFollower
from headwater.saying import get_logger
from headwater.times import now

PROVISIONING = 600 * 1_000_000
"""Microseconds that a connection by a claim has to be provisioned."""


class Directory:
    """One event loop uses it. It answers while `following` runs, and for `stale_after` seconds without the log.

    `check_every`: seconds between looks whether a change was missed; `clock`: seconds that only grow; `wall`:
    microseconds since 1970 UTC.
    """

    def __init__(
        self,
        anonymous: Literal["loopback", "never"] = "loopback",
        *,
        stale_after: float = 600.0,
        check_every: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], int] = now,
    ) -> None:
        self._anonymous = anonymous
        self._stale_after = stale_after
        self._check_every = check_every
        self._clock = clock
        self._wall = wall
        self._fresh = float("-inf")
        self._known = Known()
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
        if secret.startswith(passes.PREFIX):
            return self._passing(name, secret)
        given = digest(secret) if len(secret) <= LONGEST_SECRET else ""
        found = self._known.named(name) if name else self._known.by_digest.get(given)
        # Compared also where there is nothing to compare with, so that the time does not tell which names exist.
        right = same(given, found.digest if found else digest(""))
        before = (
            same(given, found.previous if found else digest("")) and found is not None and self._wall() < found.until
        )
        if not (right or before) or found is None:
            raise Refused("bad_credentials", "no such name or token")
        if found.disabled:
            raise Refused("disabled", f"{found.identity.name!r} is disabled")
        return found.identity if right else _until(found.identity, found.until)

    def identify_certificate(self, certificate: Certificate, by: Literal["registry", "cn", "san"]) -> Identity:
        """See `ingest.contract.Door`. A certificate that its device has lost is refused whatever `by`."""
        self._check_age()
        if certificate.fingerprint in self._known.claims:
            raise Refused("not_authorized", "this certificate is for provisioning alone")
        name = (
            self._known.by_fingerprint.get(certificate.fingerprint, "")
            if by == "registry"
            else named_by(certificate, by)
        )
        if not name:
            raise Refused("bad_credentials", "the registry knows no such certificate")
        record = self._known.device(name)
        if record is None:
            return Identity(name=name, device=name)
        if record.disabled or record.removed or certificate.fingerprint in record.revoked:
            raise Refused("disabled", f"{name!r} is disabled, or its certificate revoked")
        held = next((one for one in record.certificates if one.fingerprint == certificate.fingerprint), None)
        if held is not None and held.expires and held.expires <= self._wall():
            raise Refused("bad_credentials", f"the certificate of {name!r} has expired")
        identity = self._known.credentials[Device, name].identity
        return _until(identity, held.expires) if held is not None and held.expires else identity

    def blocked(self, address: str) -> bool:
        """True if nobody may come from this IP address now."""
        return self._known.blocks.has(address, self._wall())

    def model_of(self, device: str) -> str:
        """The model that the registry names for the device, or ""."""
        record = self._known.device(device)
        return record.model if record is not None and not record.removed else ""

    def claim_of(self, code: str, certificate: Certificate | None) -> str:
        """The name of the claim that this code, or certificate, is of; "" if of none."""
        by_code = self._known.claims.get(digest(code), "") if 0 < len(code) <= LONGEST_SECRET else ""
        return by_code or (self._known.claims.get(certificate.fingerprint, "") if certificate and not code else "")

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        """See `ingest.contract.Door`."""
        claim = self._known.claim(self.claim_of(code, certificate))
        if claim is None:
            return None
        self._check_age()
        now = self._wall()
        if claim.expires <= now:
            raise Refused("not_authorized", f"the claim {claim.name!r} has expired")
        if claim.uses < 1:
            raise Refused("not_authorized", f"the claim {claim.name!r} is used up")
        # No device's name has a blank, and no two of them are the same client.
        name = f"claim {claim.name} {secrets.token_hex(8)}"
        return Identity(name=name, claim=claim.name, until=min(claim.expires, now + PROVISIONING))

    def identity_of(self, name: str) -> Identity | None:
        """What a device or key of this name may do now; None if there is none, or it is disabled."""
        found = self._known.named(name)
        return None if found is None or found.disabled else found.identity

    def decoders(self) -> list[DecoderText]:
        """The decoders that people have added, by name."""
        return self._known.decoders()

    @property
    def assets(self) -> Mapping[str, set[str]]:
        """Asset → the names of its devices."""
        return self._known.assets

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
            if self._known.version(key) >= record.version:
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
            elif change.version > self._known.version((type(change), change.name)):
                if isinstance(change, Signer):
                    _checker()  # loaded before its first token comes, which would wait for it
                for name in self._known.put(change):
                    self._tell(name)

    def caught_up(self, when: float) -> None:
        """Nothing that was on the log at `when` (by the clock) is missing."""
        self._fresh = max(self._fresh, when)

    def _check_age(self) -> None:
        if self._clock() - self._fresh > self._stale_after:
            raise Unavailable(f"no change of the registry could be seen for {self._stale_after:g} s", retry_after=10)

    def _tell(self, name: str) -> None:
        for changed in list(self._watchers.values()):
            try:
                changed(name)
            except Exception:  # noqa: BLE001 - one watcher's fault must not keep a revocation from the others
                get_logger().exception("a watcher of the registry failed", name=name)

    def _passing(self, name: str, token: str) -> Identity:
        """By a short-lived token: no more than the key that asked for it may do now."""
        said, whole = passes.read(token)
        signer = self._known.signer(said.signer)
        if signer is None:
            raise Refused("bad_credentials", "nobody known has signed this token")
        _checker()(whole, signer.public)
        key = self._known.key(said.key)
        if min(said.expires, signer.expires) <= self._wall():
            raise Refused("bad_credentials", "the token has expired")
        if key is None or name not in {"", said.key}:
            raise Refused("bad_credentials", "the API key behind this token is gone, or is another one")
        roles: tuple[Role, ...] = tuple(role for role in said.roles if key.identity.may(role))
        sends, reads = key.identity.may("ingest"), key.identity.may("read")
        return Identity(
            name=said.key,
            roles=roles,
            speaks_for=said.devices if sends and reads else (),
            publish=said.publish if sends else (),
            subscribe=said.subscribe if reads else (),
            until=said.expires,
        )

    def _without_secret(self, name: str, *, loopback: bool) -> Identity:
        if not loopback or self._anonymous != "loopback":
            raise Refused("no_credentials", "give a name and a token, or a token")
        if not name:
            return ANONYMOUS
        try:
            check_device(name)
        except Rejected as error:
            raise Refused("bad_credentials", error.detail) from None
        if (known := self._known.named(name)) is not None and known.disabled:
            raise Refused("disabled", f"{name!r} is disabled")
        return Identity(name=name, trusted=True)


def _checker() -> Callable[[bytes, str], None]:
    """What checks the signature of a short-lived token: 8 MB of library, for a registry in which somebody signs."""
    from headwater.signatures import check  # noqa: PLC0415 - see above

    return check


def _until(identity: Identity, until: int) -> Identity:
    """The same, for as long as what it has shown is good: a connection must not outlive its credential."""
    return msgspec.structs.replace(identity, until=until)


def changes_in(entries: Iterable[Entry]) -> list[Change]:
    """The changes that entries of topic `registry` bring. One that nobody here wrote is reported and left out."""
    changes: list[Change] = []
    for entry in entries:
        if entry.value is None:
            continue
        try:
            changes.append(decode_change(entry.value))
        except msgspec.DecodeError as error:
            get_logger().warning("no change of the registry", offset=entry.offset, error=str(error))
    return changes


def named_by(certificate: Certificate, by: Literal["cn", "san"]) -> str:
    """The device that a certificate names: its common name, or its one DNS name. Raises `Refused`."""
    names = [name.removeprefix("DNS:") for name in certificate.sans if name.startswith("DNS:")]
    name = certificate.cn if by == "cn" else names[0] if len(names) == 1 else ""
    try:
        return check_device(name)
    except Rejected as error:
        what = "common name" if by == "cn" else "one DNS name"
        raise Refused("bad_credentials", f"the certificate's {what} is no device: {error.detail}") from None
