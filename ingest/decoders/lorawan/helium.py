"""Helium Console (and servers that took over its format): uplinks and joins of its HTTP and MQTT integrations.

HTTP: the JSON of the integration, `?decoder=helium`, or known by its content. Topics: as Console has them unless told
otherwise, `helium/DEVICE/rx`; `…/tx` is a command.

    {"dev_eui": "1C29FBD1D2084E21", "name": "Test Me", "fcnt": 19, "port": 1, "reported_at": 1586868546123,
     "payload": "SGVsbG8=", "decoded": {"status": "success", "payload": {"temperature": 21.5}},
     "hotspots": [{"name": "icy-fiery-hippo", "rssi": -54, "snr": 9.8, "frequency": 912.3, "spreading": "SF9BW125"}]}

The device is its DevEUI, in lower case, with its name as a text. Values are those of `decoded.payload`, else the codec
of the device's model reads `payload`, which without one is kept in hex.

Source: Helium documentation, "Console: Integrations: JSON Schema".
"""

from collections.abc import Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.explain import parse
from ingest.decoders.lorawan.network import (
    base64,
    content,
    counter,
    eui,
    fault,
    heard,
    numbers,
    part,
    rows,
    said,
    texts,
)

TOPICS = ("helium/{device}/rx", "helium/{device}/tx")


def recognises(data: bytes) -> bool:
    """Its gateways are hotspots."""
    return data[:1] == b"{" and b'"hotspots"' in data[:4096] and b'"dev_eui"' in data


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message an uplink or join."""
    if not payload.data:
        return ()
    told = parse(payload.data)
    draft = Draft(payload, eui(told.get("dev_eui")))
    draft.at = instant(told.get("reported_at"))
    texts(
        draft,
        (
            ("name", told.get("name")),
            ("dev_eui", told.get("dev_eui")),
            ("devaddr", told.get("devaddr")),
            ("id", told.get("id")),
        ),
    )
    if payload.source.topic.endswith("/tx") or "payload_raw" in told:
        _command(draft, told)
    elif told.get("type") == "join" or part(told.get("metadata")).get("type") == "join":
        draft.kind = "event"
        draft.texts["event"] = "join"
        _heard(draft, told)
    elif "hotspots" in told or "payload" in told or "fcnt" in told:
        _uplink(draft, payload, told)
    else:
        raise fault(next(iter(told), ""), "Helium")
    return draft.messages()


def _heard(draft: Draft, told: dict[str, Any]) -> None:
    found = [part(one) for one in rows(told.get("hotspots"))]
    heard(draft, ((said(one.get("name")) or said(one.get("id")), one.get("rssi"), one.get("snr")) for one in found))
    if found:
        numbers(draft, (("frequency", found[0].get("frequency")),))
        texts(draft, (("spreading", found[0].get("spreading")),))


def _uplink(draft: Draft, payload: Payload, told: dict[str, Any]) -> None:
    draft.seq = counter(told.get("fcnt"))
    _heard(draft, told)
    numbers(draft, (("port", told.get("port")),))
    decoded = part(told.get("decoded"))
    content(draft, payload, decoded.get("payload"), base64(told.get("payload")), told.get("port", 0), ())
    if decoded.get("status") == "error":
        draft.note("codec", str(decoded.get("error")))


def _command(draft: Draft, told: dict[str, Any]) -> None:
    draft.kind = "command"
    data = base64(told.get("payload_raw"))
    numbers(draft, (("port", told.get("port")), ("confirmed", told.get("confirmed"))))
    texts(draft, (("frm_payload", data.hex() if data else ""),))
