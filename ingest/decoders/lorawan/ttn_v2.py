"""The Things Network v2, and servers that still publish as it did: uplinks, activations and other events.

Topics: `APPLICATION/devices/DEVICE/up`, `…/events/activations|down/…`; `…/down` is a command. HTTP: the same JSON.

    {"app_id": "my-app", "dev_id": "my-dev", "hardware_serial": "0102030405060708", "port": 1, "counter": 2,
     "payload_raw": "AQIDBA==", "payload_fields": {"temperature": 21.5}, "metadata": {"time": "2021-04-29T05:19:43Z",
     "frequency": 868.1, "data_rate": "SF7BW125", "gateways": [{"gtw_id": "eui-0242", "rssi": -25, "snr": 5}]}}

The device is its device id; values are those of `payload_fields`, else the codec of the device's model reads
`payload_raw`, which without one is kept in hex. A place in `metadata` is the device's, that of a gateway is not.

Source: The Things Network documentation, "Applications: MQTT API Reference" (v2).
"""

from collections.abc import Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.explain import parse
from ingest.decoders.lorawan.network import base64, content, counter, fault, heard, numbers, part, rows, said, texts
from ingest.decoders.naming import device_name

TOPICS = ("+/devices/{device}/up", "+/devices/{device}/events/#", "+/devices/{device}/down")


def recognises(data: bytes) -> bool:
    """The device's id beside its bytes."""
    head = data[:1024]
    return data[:1] == b"{" and b'"dev_id"' in head and b'"payload_raw"' in head


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message an uplink or event."""
    if not payload.data:
        return ()
    told = parse(payload.data)
    own = said(told.get("dev_id"))
    draft = Draft(payload, device_name(own) if own else "")
    topic = payload.source.topic
    texts(draft, (("app_id", told.get("app_id")), ("hardware_serial", told.get("hardware_serial"))))
    if "/events/" in topic:
        _event(draft, topic.partition("/events/")[2], told)
    elif topic.endswith("/down"):
        _command(draft, told)
    elif "payload_raw" in told or "payload_fields" in told or "metadata" in told:
        _uplink(draft, payload, told)
    else:
        raise fault(next(iter(told), ""), "The Things Network v2")
    return draft.messages()


def _uplink(draft: Draft, payload: Payload, told: dict[str, Any]) -> None:
    about = part(told.get("metadata"))
    draft.at = instant(about.get("time"))
    draft.seq = counter(told.get("counter", 0))
    found = [part(one) for one in rows(about.get("gateways"))]
    heard(draft, ((said(one.get("gtw_id")), one.get("rssi"), one.get("snr")) for one in found))
    numbers(
        draft,
        (
            ("port", told.get("port")),
            ("confirmed", told.get("confirmed")),
            ("is_retry", told.get("is_retry")),
            ("frequency", about.get("frequency")),
            ("airtime", about.get("airtime")),
        ),
    )
    texts(draft, (("data_rate", about.get("data_rate")),))
    port = told.get("port", 0)
    content(draft, payload, told.get("payload_fields"), base64(told.get("payload_raw")), port, ())
    if draft.position is None and "latitude" in about:
        draft.place(about["latitude"], about.get("longitude"), about.get("altitude"))


def _event(draft: Draft, name: str, told: dict[str, Any]) -> None:
    draft.kind = "event"
    draft.texts["event"] = name[:64]
    draft.at = instant(part(told.get("metadata")).get("time"))
    for key in ("app_eui", "dev_eui", "dev_addr", "error"):
        texts(draft, ((key, told.get(key)),))


def _command(draft: Draft, told: dict[str, Any]) -> None:
    draft.kind = "command"
    data = base64(told.get("payload_raw"))
    numbers(draft, (("port", told.get("port")), ("confirmed", told.get("confirmed"))))
    texts(draft, (("frm_payload", data.hex() if data else ""), ("schedule", told.get("schedule"))))
    draft.tree(part(told.get("payload_fields")))
