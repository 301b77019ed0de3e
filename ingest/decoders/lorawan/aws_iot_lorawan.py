"""AWS IoT Core for LoRaWAN (AWS IoT Wireless): uplinks as its rules pass them on, and its event notifications.

Topics: a rule's own, which `decoders.topics` names, or HTTP with `?decoder=aws_iot_lorawan`, or known by its content;
`$aws/iotwireless/events/…` through a bridge.

    {"WirelessDeviceId": "0d9a439b-…", "PayloadData": "AAAAAAAA//8=", "WirelessMetadata": {"LoRaWAN": {"FPort": 5,
     "FCnt": 1, "DevEui": "ffffff10000163b0", "Timestamp": "2021-04-29T05:19:43.646Z",
     "Gateways": [{"GatewayEui": "80029cfffe5cf1cc", "Rssi": -29, "Snr": 9.75}]}}}

The device is its DevEUI, or its wireless device id where the radio is Amazon Sidewalk. The codec of the device's model
reads `PayloadData`, which without one is kept in hex. Joins, deliveries, connections and the like are events.

Source: AWS IoT Wireless developer guide, "View format of uplink messages", "Event notifications".
"""

import re
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

TOPICS = ("$aws/iotwireless/events/#",)
_SENT = ("Frequency", "SpreadingFactor", "Bandwidth", "ADR")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
_ID = ("WirelessDeviceId", "WirelessGatewayId", "SidewalkId", "SidewalkManufacturingSn")


def recognises(data: bytes) -> bool:
    """Its devices' ids are spelt so, and beside them stands the radio's part or an event's id."""
    head = data[:2048]
    return data[:1] == b"{" and b'"Wireless' in head and (b'"WirelessMetadata"' in head or b'"eventId"' in head)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message or notification."""
    if not payload.data:
        return ()
    told = parse(payload.data)
    if "WirelessMetadata" in told or "PayloadData" in told:
        return _uplink(payload, told)
    if "eventType" in told or "eventId" in told:
        return _notification(payload, told)
    raise fault(next(iter(told), ""), "AWS IoT Core for LoRaWAN")


def _uplink(payload: Payload, told: dict[str, Any]) -> list[Message]:
    metadata = part(told.get("WirelessMetadata"))
    radio, sidewalk = part(metadata.get("LoRaWAN")), part(metadata.get("Sidewalk"))
    draft = Draft(payload, _device(told, radio))
    draft.at = instant(radio.get("Timestamp") or sidewalk.get("Timestamp"))
    draft.seq = counter(radio.get("FCnt", sidewalk.get("Seq")))
    _ids(draft, told, radio)
    found = [part(one) for one in rows(radio.get("Gateways"))]
    heard(draft, ((eui(one.get("GatewayEui")), one.get("Rssi"), one.get("Snr")) for one in found))
    port = counter(radio.get("FPort", radio.get("Fport", 0)))
    numbers(draft, (("FPort", port), *((name, radio.get(name)) for name in _SENT)))
    texts(draft, (("DataRate", radio.get("DataRate")), ("MType", radio.get("MType"))))
    texts(draft, ((name, value) for name, value in sidewalk.items() if name != "Seq"))
    data = base64(told.get("PayloadData"))
    if data and not radio and _HEX.fullmatch(data):  # Sidewalk's is hex, in base64
        data = bytes.fromhex(data.decode())
    content(draft, payload, told.get("PayloadDecoded"), data, port, ())
    return draft.messages()


def _device(told: dict[str, Any], radio: dict[str, Any]) -> str:
    """The radio's EUI, else an id that AWS has given."""
    own = radio.get("DevEui") or radio.get("GatewayEui")
    return eui(own or next((told[name] for name in _ID if said(told.get(name))), ""))


def _ids(draft: Draft, told: dict[str, Any], radio: dict[str, Any]) -> None:
    texts(draft, ((name, told.get(name)) for name in _ID))
    texts(draft, (("DevEui", radio.get("DevEui")), ("DevAddr", radio.get("DevAddr"))))


def _notification(payload: Payload, told: dict[str, Any]) -> list[Message]:
    radio, sidewalk = part(told.get("LoRaWAN")), part(told.get("Sidewalk"))
    levels = payload.source.topic.split("/")
    draft = Draft(payload, _device(told, radio), "event")
    draft.at = instant(told.get("timestamp"))
    draft.texts["event"] = levels[3] if len(levels) > 3 else "notification"
    own = said(told.get("eventId"))
    texts(draft, (("eventType", told.get("eventType")), ("eventId", own)))
    _ids(draft, told, radio)
    draft.tree({name: value for name, value in radio.items() if name not in {"DevEui", "DevAddr"}})
    draft.tree(sidewalk)
    if "WirelessGatewayId" in told and told.get("eventType") in {"connected", "disconnected"}:
        draft.kind = "status"
        draft.texts["status"] = "online" if told["eventType"] == "connected" else "offline"
    return draft.messages()
