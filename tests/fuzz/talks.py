"""What a broken or hostile client may say: packets that are right, and what chance makes of them.

In: a `random.Random`, so that a number brings it all back. Out: bytes.
"""

from random import Random

from ingest.mqtt import packets, properties
from ingest.mqtt.encoding import encode
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.wire import write_variable

TOPICS = ("devices/d1/telemetry", "devices/d2/telemetry", "a/b", "a//c", "$SYS/x", "é/ü", "x" * 300)
FILTERS = ("#", "+/+", "devices/+/telemetry", "a/#", "$share/g/a/#", "$share//a", "a/#/b", "a+", "/", "$SYS/#")
_BYTES = (0x00, 0x01, 0x7F, 0x80, 0xFF)


def connect(random: Random, version: int, client_id: str = "") -> bytes:
    """A CONNECT that is let in."""
    will = None
    if random.random() < 0.3:
        will = packets.Will(random.choice(TOPICS), random.randbytes(9), random.randrange(3), random.random() < 0.2)
    given = NONE
    if version == 5:
        given = Properties(
            receive_maximum=random.choice((None, 1, 3, 100)),
            maximum_packet_size=random.choice((None, None, 60, 2000)),
            topic_alias_maximum=random.choice((None, 0, 2)),
            request_problem_information=random.choice((None, 0, 1)),
            session_expiry_interval=random.choice((None, None, 0, 60)),
        )
    clean = random.random() < 0.8
    client_id = client_id or f"f{random.randrange(4)}"
    return encode(
        packets.Connect(version, client_id, clean, random.choice((0, 5, 60)), None, None, will, given), version
    )


def packet(random: Random, version: int) -> bytes:
    """Any packet a client sends, with a leaning to those that hang together."""
    number = random.choice((1, 2, 3, random.randrange(1, 65_536)))
    publish = packets.Publish(
        random.choice(TOPICS), random.randbytes(random.choice((0, 5, 500))), 0, 0, _given(random, version)
    )
    match random.randrange(12):
        case 0 | 1 | 2 | 3:
            publish.flags = random.randrange(3) << 1 | random.randrange(2) | (8 if random.random() < 0.1 else 0)
            publish.packet_id = number if publish.flags & 6 else 0
            found: packets.Packet = publish
        case 4:
            found = packets.Puback(number)
        case 5:
            found = packets.Pubrec(number)
        case 6:
            found = random.choice((packets.Pubrel, packets.Pubcomp))(number)
        case 7 | 8:
            items = [
                packets.Subscription(random.choice(FILTERS), random.randrange(3)) for _ in range(random.randrange(1, 4))
            ]
            found = packets.Subscribe(number, tuple(items))
        case 9:
            found = packets.Unsubscribe(number, tuple(random.choices(FILTERS, k=2)))
        case 10:
            found = packets.Pingreq()
        case _:
            found = packets.Disconnect(random.choice((ReasonCode.SUCCESS, ReasonCode.DISCONNECT_WITH_WILL_MESSAGE)))
            if version == 5 and random.random() < 0.3:
                found = packets.Auth()
    return encode(found, version)


def _given(random: Random, version: int) -> Properties:
    if version == 4 or random.random() < 0.6:
        return NONE
    return Properties(
        topic_alias=random.choice((None, 1, 2, 16, 17)),
        message_expiry_interval=random.choice((None, 0, 1, 60)),
        user_properties=(("k", "v"),) * random.choice((0, 1, 40)),
        response_topic=random.choice((None, "r")),
        correlation_data=random.choice((None, b"c")),
    )


def properties_at_random(random: Random) -> bytes:
    """A PUBLISH whose properties are numbers and bytes as they fall, with their length right or nearly so."""
    numbers = list(properties._SPECS)  # pyright: ignore[reportPrivateUsage]
    section = b""
    for _ in range(random.randrange(1, 5)):
        section += bytes((random.choice((*numbers, random.randrange(256))),)) + random.randbytes(random.randrange(6))
    size = max(0, len(section) + random.choice((0, 0, 0, 1, -1)))
    body = b"\0\1t" + write_variable(size) + section + b"payload"
    return b"\x30" + write_variable(len(body)) + body


def mutated(random: Random, data: bytes) -> bytes:
    """One or a few things go wrong."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 5))):
        at = random.randrange(len(out) + 1)
        match random.randrange(7):
            case 0:
                del out[at:]
            case 1 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 2 if at < len(out):
                out[at] = random.choice(_BYTES)
            case 3:
                out[at:at] = random.randbytes(random.choice((1, 2, 30)))
            case 4:
                del out[at : at + random.randrange(1, 4)]
            case 5:
                out[at:at] = out[at : at + random.randrange(1, 20)]
            case _:
                if len(out) > 1:
                    out[1] = random.randrange(256)  # the remaining length
    return bytes(out)


def cut(random: Random, data: bytes) -> list[bytes]:
    """The same bytes, in pieces."""
    places = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 1, 3, 10))))
    return [data[begin:end] for begin, end in zip((0, *places), (*places, len(data)), strict=True)]


def talk(random: Random, version: int) -> bytes:
    """What a client says behind its CONNECT."""
    parts: list[bytes] = []
    for _ in range(random.randrange(1, 12)):
        kind = random.random()
        one = properties_at_random(random) if kind < 0.1 and version == 5 else packet(random, version)
        parts.append(mutated(random, one) if kind > 0.75 else one)
    return b"".join(parts)
