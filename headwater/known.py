"""What a process knows of the registry, by whatever it is asked: name, token, certificate, address.

In: records, the newest version of each. Out: the credentials that `headwater.directory` compares with.
"""

from collections.abc import Sequence
from typing import NamedTuple

from headwater.blocks import Blocks
from headwater.grants import granted
from headwater.registry import (
    ApiKey,
    Block,
    Claim,
    DecoderText,
    Device,
    Erasure,
    Group,
    HeldCertificate,
    Identity,
    Members,
    Record,
    Signer,
)

Key = tuple[type[Record], str]
DECODER = "decoder"
"""What a watcher is told of a decoder, before a blank and its name."""


class Credential(NamedTuple):
    """What a token's digest is compared with, and who has it. `disabled`: known, but not let in.

    `previous`: the digest that was good before, until `until` (microseconds UTC).
    """

    digest: str
    identity: Identity
    disabled: bool
    previous: str = ""
    until: int = 0


class Known:
    """`records`: also removed ones, whose version keeps an older entry from bringing them back.

    `claims`: digest of a code, or fingerprint of a certificate → the claim's name.
    """

    def __init__(self) -> None:
        self.records: dict[Key, Record] = {}
        self.credentials: dict[Key, Credential] = {}
        self.by_digest: dict[str, Credential] = {}
        self.by_fingerprint: dict[str, str] = {}
        self.blocks = Blocks()
        self.assets: dict[str, set[str]] = {}
        self.claims: dict[str, str] = {}
        self._members: dict[str, Members] = {}

    def version(self, key: Key) -> int:
        """The version known, 0 if none is."""
        record = self.records.get(key)
        return 0 if record is None else record.version

    def named(self, name: str) -> Credential | None:
        """The device's or API key's of that name."""
        return self.credentials.get((Device, name)) or self.credentials.get((ApiKey, name))

    def device(self, name: str) -> Device | None:
        """Also one that was removed."""
        record = self.records.get((Device, name))
        return record if isinstance(record, Device) else None

    def key(self, name: str) -> Credential | None:
        """The API key's of that name."""
        return self.credentials.get((ApiKey, name))

    def claim(self, name: str) -> Claim | None:
        """One that was not removed; also where it has expired or is used up."""
        record = self.records.get((Claim, name))
        return record if isinstance(record, Claim) and not record.removed else None

    def decoders(self) -> list[DecoderText]:
        """Those that were not removed, by name."""
        found = [one for one in self.records.values() if isinstance(one, DecoderText) and not one.removed]
        return sorted(found, key=lambda one: one.name)

    def signer(self, name: str) -> Signer | None:
        """Whose signature is good, None if nobody's of that name is."""
        record = self.records.get((Signer, name))
        return record if isinstance(record, Signer) and not record.removed else None

    def put(self, record: Record) -> list[str]:
        """Take it in place of what was known; returns whose rights may have changed."""
        before = self.records.get((type(record), record.name))
        self.records[type(record), record.name] = record
        match record:
            case Device():
                was = before if isinstance(before, Device) else None
                self._join(was.groups if was else (), record)
                self._hold(was.certificates if was else (), record)
                self._place(was.asset if was else "", record)
                self._let_in(record)
            case ApiKey():
                self._let_in(record)
            case Group():
                members = sorted(self._group(record.name).names)
                for name in members:
                    self._let_in(self.records[Device, name])
                return [record.name, *members]
            case Block():
                self.blocks.put(record)
            case Claim():
                self._offer(before if isinstance(before, Claim) else None, record)
            case Signer() | Erasure():
                pass
            case DecoderText():
                return [f"{DECODER} {record.name}"]  # no device's name: nobody's rights have changed
        return [record.name]

    def _join(self, before: Sequence[str], device: Device) -> None:
        for group in before:
            self._group(group).names.discard(device.name)
        for group in () if device.removed else device.groups:
            self._group(group).names.add(device.name)

    def _hold(self, before: Sequence[HeldCertificate], device: Device) -> None:
        for held in before:
            if self.by_fingerprint.get(held.fingerprint) == device.name:
                del self.by_fingerprint[held.fingerprint]
        for held in () if device.removed else device.certificates:
            self.by_fingerprint[held.fingerprint] = device.name

    def _offer(self, before: Claim | None, claim: Claim) -> None:
        for secret in (before.digest, before.fingerprint) if before is not None else ():
            self.claims.pop(secret, None)
        for secret in () if claim.removed else filter(None, (claim.digest, claim.fingerprint)):
            self.claims[secret] = claim.name

    def _place(self, before: str, device: Device) -> None:
        after = "" if device.removed else device.asset
        if before and before != after:
            self.assets[before].discard(device.name)
            if not self.assets[before]:
                del self.assets[before]
        if after:
            self.assets.setdefault(after, set()).add(device.name)

    def _let_in(self, record: Record) -> None:
        """Renew what its credential says."""
        key = (type(record), record.name)
        before = self.credentials.pop(key, None)
        if before is not None:
            self.by_digest.pop(before.digest, None)
            self.by_digest.pop(before.previous, None)
        if not record.removed and isinstance(record, Device | ApiKey):
            credential = self.credentials[key] = self._credential_of(record)
            for secret in filter(None, (credential.previous, credential.digest)):
                self.by_digest[secret] = credential

    def _group(self, name: str) -> Members:
        return self._members.setdefault(name, Members())

    def _credential_of(self, record: Device | ApiKey) -> Credential:
        if isinstance(record, ApiKey):
            return Credential(record.digest, Identity(name=record.name, roles=record.roles), disabled=False)
        known = ((name, self.records.get((Group, name))) for name in record.groups)
        groups = [(name, group) for name, group in known if isinstance(group, Group) and not group.removed]
        identity = Identity(
            name=record.name,
            device=record.name,
            speaks_for=record.speaks_for,
            members=tuple(map(self._group, record.speaks_for_groups)),
            publish=tuple(rule for name, group in groups for rule in granted(group.publish, record.name, name)),
            subscribe=tuple(rule for name, group in groups for rule in granted(group.subscribe, record.name, name)),
            quota=next((group.quota for _, group in groups if group.quota), ""),
        )
        return Credential(record.token, identity, record.disabled, record.previous, record.previous_until)
