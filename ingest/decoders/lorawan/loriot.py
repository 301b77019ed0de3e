"""LORIOT Network Server: what its HTTP push, MQTT and WebSocket outputs send for an application.

HTTP: `?decoder=loriot`, or known by its content. MQTT: topics are the user's own; `decoders.topics` names them.

    {"cmd": "gw", "EUI": "0102030405060708", "ts": 1470850675433, "fcnt": 1, "port": 1, "data": "0102AABB", "bat": 255,
     "freq": 868500000, "dr": "SF12 BW125 4/5", "gws": [{"gweui": "00-01-FF-FF-FE-00-00-00", "rssi": -130, "snr": 1.2}]}

The device is its EUI, in lower case. `cmd` is `rx` (the first gateway only), `gw` (all of them, a little later: take
one of the two, or each frame is two messages) or `txd`, a downlink's report. Values: `decoded` where the server has it,
else by the codec of the device's model from `data`, which without one is kept in hex. `encdata` alone is encrypted
and refused. `bat` counts from 1 to 254; 0 is mains, 255 unknown.

Source: LORIOT documentation, "Application Output: Data" and "Gateway Information".
"""

from collections.abc import Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.explain import parse
from ingest.decoders.lorawan.network import content, counter, eui, fault, heard, numbers, part, rows, said, texts

TOPICS: tuple[str, ...] = ()


def recognises(data: bytes) -> bool:
    """A frame with its EUI, spelt in capitals, and the server's time."""
    head = data[:1024]
    return data[:1] == b"{" and b'"cmd"' in head and b'"EUI"' in head and b'"ts"' in head


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message a frame."""
    if not payload.data:
        return ()
    told = parse(payload.data)
    kind = said(told.get("cmd"))
    draft = Draft(payload, eui(told.get("EUI")))
    draft.at = instant(told.get("ts"))
    draft.seq = counter(told.get("fcnt"))
    texts(draft, (("EUI", told.get("EUI")), ("dr", told.get("dr"))))
    if kind in {"rx", "gw"}:
        _frame(draft, payload, told)
    elif kind in {"txd", "tx"}:
        draft.kind = "event"
        draft.texts["event"] = kind
        draft.seq = None
        numbers(draft, ((name, told.get(name)) for name in ("seqdn", "port", "freq")))
        texts(draft, (("error", told.get("error")), ("success", told.get("success"))))
    else:
        raise fault(kind or next(iter(told), ""), "LORIOT")
    return draft.messages()


def _frame(draft: Draft, payload: Payload, told: dict[str, Any]) -> None:
    data = _hex(told.get("data"))
    if data is None and said(told.get("encdata")):
        raise Rejected("encrypted", "the payload is encrypted: give LORIOT the device's application session key")
    found = [part(one) for one in rows(told.get("gws"))]
    heard(draft, ((eui(one.get("gweui")), one.get("rssi"), one.get("snr")) for one in found))
    numbers(draft, ((name, told.get(name)) for name in ("port", "freq", "toa", "ack", "rssi", "snr")))
    level = as_float(told.get("bat"))
    if level is not None and 1 <= level <= 254:
        draft.fields["battery"] = round((level - 1) / 253 * 100, 1)
    elif level == 0:
        draft.fields["externalPowerSource"] = True
    content(draft, payload, part(told.get("decoded")).get("data", told.get("decoded")), data, told.get("port", 0), ())


def _hex(value: Any) -> bytes | None:
    try:
        return bytes.fromhex(value) if value.__class__ is str and value else None
    except ValueError:
        return None
