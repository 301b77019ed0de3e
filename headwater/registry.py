"""The registry: who may send, who may ask. The words here, the authority in `headwater.registry_contract`.

A change is made in tables with transactions and version columns, and goes to the topic `registry` through an outbox;
`Directory` is a process's own copy, built from that topic: a look-up costs a dict access, a revocation is seen at once.
"""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Literal, NamedTuple, TypeVar

import msgspec

from headwater.errors import Rejected
from headwater.grants import check_grants
from headwater.ids import check_device

Role = Literal["ingest", "read", "admin"]
"""What an API key may do: send for any device; read; change the registry. `admin` includes the others."""


DECODER_SIZE = 512 * 1024
"""The most bytes of a decoder's text: it goes to every gateway in one entry of the log."""


class Versioned(msgspec.Struct, tag_field="kind", kw_only=True, omit_defaults=True, frozen=True):
    """What every record has. `version` grows with each change; a removed one stays, marked so.

    `changed`: microseconds since 1970 UTC.
    """

    removed: bool = False
    version: int = 0
    changed: int = 0


class HeldCertificate(msgspec.Struct, omit_defaults=True, frozen=True):
    """A certificate that a device has: SHA-256 of its DER form, hex; its serial number, hex; its end, microseconds UTC.

    A device may have several: so it is renewed without a gap.
    """

    fingerprint: str
    serial: str = ""
    expires: int = 0


class Device(Versioned, tag="device", omit_defaults=True, frozen=True):
    """A device that may send. `token` is the SHA-256 (hex) of its token, never the token.

    `previous`: of the token before, which is good until `previous_until` (microseconds UTC). `certificates`: those that
    it may show; `revoked`: fingerprints that it may show no more, whoever signed them. `speaks_for`: names of children
    (or `prefix*`) it may send for; `speaks_for_groups`: all devices in these groups. `attributes` (name, value) and
    `asset`: what people want to know of it.
    """

    name: str
    token: str = ""
    model: str = ""
    speaks_for: tuple[str, ...] = ()
    disabled: bool = False
    groups: tuple[str, ...] = ()
    speaks_for_groups: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    asset: str = ""
    certificates: tuple[HeldCertificate, ...] = ()
    revoked: tuple[str, ...] = ()
    previous: str = ""
    previous_until: int = 0


class Group(Versioned, tag="group", omit_defaults=True, frozen=True):
    """What the devices in it may do beyond their own topics: filters (`headwater.grants`), and the quota they have."""

    name: str
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    quota: str = ""


class Claim(Versioned, tag="claim", omit_defaults=True, frozen=True):
    """A code by which devices that nobody has added yet add themselves: `uses` more times, until `expires`.

    `digest`: SHA-256 (hex) of the code. `fingerprint`: of a certificate that does the same, or empty. `names`: which
    names they may take, `*` at the end for any ending. The rest is what they get. `expires`: microseconds UTC.
    """

    name: str
    digest: str
    names: str = "*"
    uses: int = 1
    expires: int = 0
    model: str = ""
    groups: tuple[str, ...] = ()
    fingerprint: str = ""

    def takes(self, name: str) -> bool:
        """True if a device may take this name."""
        return name.startswith(self.names[:-1]) if self.names.endswith("*") else name == self.names


class Block(Versioned, tag="block", omit_defaults=True, frozen=True):
    """Who is refused: `name` is an IP address or network, `192.0.2.0/24`. `until`: microseconds UTC, 0 for ever."""

    name: str
    reason: str = ""
    until: int = 0


class Signer(Versioned, tag="signer", omit_defaults=True, frozen=True):
    """The public half of a key that signs short-lived tokens (`headwater.passes`), hex. `expires`: microseconds UTC."""

    name: str
    public: str
    expires: int = 0


class DecoderText(Versioned, tag="decoder", omit_defaults=True, frozen=True):
    """A decoder that people have added: a maker's codec in JavaScript, or a mapping in YAML.

    `models`: the models, device profiles or makers' names for it, of the devices whose payloads it reads.
    """

    name: str
    language: Literal["javascript", "mapping"] = "mapping"
    text: str = ""
    models: tuple[str, ...] = ()


class Erasure(Versioned, tag="erasure", omit_defaults=True, frozen=True):
    """What was received of a device `before` is forgotten. `due`: the next pass, or 0. Times: microseconds UTC."""

    name: str
    before: int
    due: int = 0
    passes: int = 0


class Members:
    """Who is in a group now: it changes under whoever holds it."""

    __slots__ = ("names",)

    def __init__(self) -> None:
        self.names: set[str] = set()


class ApiKey(Versioned, tag="key", omit_defaults=True, frozen=True):
    """A key for people and programs. `digest` is the SHA-256 (hex) of the key."""

    name: str
    digest: str
    roles: tuple[Role, ...]


class Identity(msgspec.Struct, frozen=True):
    """Who is at the door. `device` is empty for API keys; `trusted` (loopback, anonymous) may do everything.

    `publish`, `subscribe`: topic filters granted beyond the topics of its own and of those it speaks for. `until`:
    microseconds UTC, when it ends; 0: when the registry says so. `claim`: the name of the claim that it came by; it may
    then ask to be provisioned, and nothing else.
    """

    name: str
    device: str = ""
    roles: tuple[Role, ...] = ()
    speaks_for: tuple[str, ...] = ()
    trusted: bool = False
    members: tuple[Members, ...] = ()
    publish: tuple[str, ...] = ()
    subscribe: tuple[str, ...] = ()
    quota: str = ""
    until: int = 0
    claim: str = ""

    def may(self, role: Role) -> bool:
        """True if this identity has the role, by itself or through `admin`."""
        return self.trusted or role in self.roles or "admin" in self.roles

    def may_send_for(self, device: str) -> bool:
        """True if this identity may send messages of that device."""
        if self.trusted or device == self.device or "ingest" in self.roles or "admin" in self.roles:
            return True
        return self.speaks_for_child(device)

    def speaks_for_child(self, device: str) -> bool:
        """True if that device is one of those it speaks for, by name or group."""
        return any(device in group.names for group in self.members) or any(
            device.startswith(child[:-1]) if child.endswith("*") else device == child for child in self.speaks_for
        )


class Certificate(NamedTuple):
    """A client certificate that a configured CA has signed and that is in force.

    `fingerprint`: SHA-256 of its DER form, hex. `cn`: its subject's common name, "" where it has not exactly one.
    `sans`: its other names, as "DNS:pump-7". `serial`: upper-case hex. `issuer`: as "commonName=…, …".
    """

    fingerprint: str
    cn: str
    sans: tuple[str, ...] = ()
    serial: str = ""
    issuer: str = ""


ANONYMOUS = Identity(name="anonymous", trusted=True)
"""Anyone on loopback, unless the configuration asks for credentials there too."""


class RulesChange(msgspec.Struct, tag_field="kind", tag="rules", frozen=True):
    """On topic `registry`, key `rules`: the selection rules in force, which also went to `messages` as a control."""

    version: int
    rules: msgspec.Raw


Record = Device | ApiKey | Group | Claim | Block | Signer | DecoderText | Erasure
"""What the registry keeps, by kind and name."""

Change = Record | RulesChange
"""What an entry on topic `registry` says; a record's key is `KIND:NAME`.

The highest version of a key wins; any other entry has no effect.
"""

encode_change = msgspec.json.Encoder().encode
decode_change = msgspec.json.Decoder(Change).decode
decode_record = msgspec.json.Decoder(Record).decode

R = TypeVar("R", bound=Record)


def kind_of(record: Record | type[Record]) -> str:
    """`device`, `key`, …: the tag of its type."""
    return str(record.__struct_config__.tag)


def key_of(change: Change) -> bytes:
    """The entry's key: what compaction keeps the newest of."""
    return b"rules" if isinstance(change, RulesChange) else f"{kind_of(change)}:{change.name}".encode()


def check_name(name: str) -> str:
    """Return the name of a device or key, or raise `Rejected("bad_device")`."""
    if name == ANONYMOUS.name:
        raise Rejected("bad_device", f"{name!r} means whoever gives no credential")
    return check_device(name)


def check_speaks_for(children: Sequence[str]) -> tuple[str, ...]:
    """Names, or beginnings of names with a `*` behind them; sorted, each once. Raises `Rejected("bad_device")`."""
    for child in children:
        if child != "*":
            check_device(child.removesuffix("*"))
    return tuple(sorted(set(children)))


def checked(record: R) -> R:
    """The record in its one form; raises `Rejected` where it makes no sense."""
    match record:
        case Device():
            check_name(record.name)
            for group in (*record.groups, *record.speaks_for_groups):
                check_name(group)
            return msgspec.structs.replace(
                record,
                speaks_for=check_speaks_for(record.speaks_for),
                groups=tuple(sorted(set(record.groups))),
                speaks_for_groups=tuple(sorted(set(record.speaks_for_groups))),
                attributes=tuple(sorted(dict(record.attributes).items())),
            )
        case Group():
            check_name(record.name)
            return msgspec.structs.replace(
                record, publish=check_grants(record.publish), subscribe=check_grants(record.subscribe)
            )
        case Block():
            try:
                return msgspec.structs.replace(record, name=str(ip_network(record.name)))
            except ValueError:
                raise Rejected("bad_value", f"{record.name[:80]!r} is no IP address or network") from None
        case Claim():
            check_name(record.name)
            if record.names != "*":
                check_device(record.names.removesuffix("*"))
            return msgspec.structs.replace(record, groups=tuple(sorted(set(record.groups))))
        case DecoderText():
            return _checked_decoder(record)
        case ApiKey() | Signer() | Erasure():
            check_name(record.name)
            return record


def _checked_decoder(record: DecoderText) -> DecoderText:
    check_name(record.name)
    if len(record.text.encode("utf-8", "replace")) > DECODER_SIZE:
        raise Rejected("too_large", f"a decoder has at most {DECODER_SIZE:,} bytes")
    return msgspec.structs.replace(record, models=tuple(sorted(set(record.models))))
