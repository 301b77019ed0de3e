"""Adverts made for tests: AD structures, HCI events around them, and decoding them as they would come in.

In: hex. Out: payload bytes, messages.
"""

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import NOTHING_KNOWN, Context, Payload, Source
from ingest.decoders.ble.ble_hci_adv import decode

RECEIVED = 1_763_700_000_000_000
TAG = "A4C1388D18B2"
GATEWAY = "attic"


def structures(*parts: tuple[int, str]) -> bytes:
    """AD structures of (type, hex)."""
    return b"".join(bytes((len(bytes.fromhex(body)) + 1, kind)) + bytes.fromhex(body) for kind, body in parts)


def report(ad: bytes, address: str = TAG, rssi: int = -60) -> bytes:
    """One legacy advertising report."""
    return b"\0\0" + bytes.fromhex(address)[::-1] + bytes((len(ad),)) + ad + bytes((rssi & 255,))


def event(kind: int, *reports: bytes) -> bytes:
    """An HCI event of these reports."""
    body = bytes((kind, len(reports))) + b"".join(reports)
    return b"\x04\x3e" + bytes((len(body),)) + body


def heard(
    data: bytes, device: str = GATEWAY, query: str = "", context: Context = NOTHING_KNOWN
) -> list[Message | Rejected]:
    """What the decoder makes of a payload."""
    return list(decode(Payload(data, Source("http", "", device, "ble_hci_adv", query=query), RECEIVED, context)))


def one(data: bytes, device: str = GATEWAY, query: str = "", context: Context = NOTHING_KNOWN) -> Message:
    """The one message of a payload; raises what it was refused for."""
    (found,) = heard(data, device, query, context)
    if isinstance(found, Rejected):
        raise found
    return found


def said(*parts: tuple[int, str], address: str = TAG) -> Message:
    """The message of an advert of these structures."""
    return one(event(0x02, report(structures(*parts), address)))
