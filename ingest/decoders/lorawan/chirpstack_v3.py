"""ChirpStack 3 (Application Server), and LoRa Server before it: events of devices, over MQTT and by HTTP.

Topics: `application/ID/device/DEVEUI/event/up|join|status|ack|txack|error|location|integration`, version 4's too;
before 3.11 without `event/`: `…/DEVEUI/rx|up|join|status|ack|error|location`, and `…/tx` a command. JSON in both its
forms: `marshaler="json"` (ids in base64, `objectJSON` a text) and `"json_v3"` (ids in hex, `object`).

    {"applicationID": "123", "deviceName": "garden-sensor", "devEUI": "AgICAgICAgI=", "fCnt": 10, "fPort": 5,
     "rxInfo": [{"gatewayID": "AwMDAwMDAwM=", "rssi": -48, "loRaSNR": 9}], "data": "AQI=", "objectJSON": "…"}

The device is its DevEUI in hex; all else is as in version 4.

Source: ChirpStack Application Server documentation, "Event types" and "MQTT integration".
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.lorawan.chirpstack import command, event_of, happened, integrated, located, status
from ingest.decoders.lorawan.network import (
    base64,
    content,
    counter,
    eui,
    fault,
    heard,
    numbers,
    part,
    read,
    rows,
    said,
    texts,
)

_EVENTS_BEFORE = ("rx", "tx", "up", "join", "status", "ack", "error", "location")
TOPICS = tuple(f"#/application/+/device/{{device}}/{event}" for event in _EVENTS_BEFORE)
_REMEDY = 'set marshaler="json" in its configuration'
_json = msgspec.json.Decoder[Any]().decode


def recognises(data: bytes) -> bool:
    """Version 3 spells the EUI of its devices so."""
    head = data[:4096]
    return data[:1] == b"{" and b'"devEUI"' in head and b'"applicationID"' in head


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One event, one message."""
    if not payload.data:
        return ()
    return decode_json(payload, read(payload, "ChirpStack", _REMEDY))


def decode_json(payload: Payload, told: dict[str, Any]) -> list[Message]:
    """An event that is known to be of version 3."""
    draft = Draft(payload, eui(told.get("devEUI")))
    event = event_of(payload) or _guess(told)
    _about(draft, told)
    if event in {"up", "rx"}:
        _up(draft, payload, told)
    elif event == "status":
        status(draft, told)
    elif event == "location":
        located(draft, told)
    elif event == "integration":
        integrated(draft, {**told, "object": _object(told)})
    elif event in {"down", "tx"}:
        command(draft, {**told, "object": _object(told)})
    elif event in {"join", "ack", "txack", "error"}:
        _happened(draft, event, told)
    else:
        raise fault(event or next(iter(told), ""), "ChirpStack 3")
    draft.at = draft.at or instant(told.get("publishedAt"))
    return draft.messages()


def _guess(told: dict[str, Any]) -> str:
    """Without topic and query, what only this event has."""
    for name, keys in _SIGNS:
        if any(key in told for key in keys):
            return name
    return ""


_SIGNS = (
    ("status", ("margin", "batteryLevel", "externalPowerSource", "batteryLevelUnavailable")),
    ("error", ("error",)),
    ("ack", ("acknowledged",)),
    ("location", ("location",)),
    ("integration", ("integrationName",)),
    ("join", ("devAddr",)),
    ("up", ("fPort", "data", "objectJSON", "object", "rxInfo")),
    ("txack", ("gatewayID",)),
)


def _about(draft: Draft, told: dict[str, Any]) -> None:
    own = said(told.get("devEUI"))
    texts(
        draft,
        (
            ("name", told.get("deviceName")),
            ("model", told.get("deviceProfileName")),
            ("applicationName", told.get("applicationName")),
            ("devEUI", eui(own)),
        ),
    )
    tags = part(told.get("tags"))
    if tags:
        texts(draft, ((f"tags.{name}", value) for name, value in tags.items()))


def _up(draft: Draft, payload: Payload, told: dict[str, Any]) -> None:
    draft.seq = counter(told.get("fCnt", 0))
    _radio(draft, told)
    content(
        draft,
        payload,
        _object(told),
        base64(told.get("data")),
        told.get("fPort", 0),
        (said(told.get("deviceProfileName")), said(told.get("deviceProfileID"))),
    )


def _object(told: dict[str, Any]) -> Any:
    """What the server's codec made of it: an object, or its JSON in a text."""
    inner = told.get("object")
    if inner is None:
        text = said(told.get("objectJSON"))
        if not text:
            return None
        try:
            inner = _json(text)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return None
    return inner


def _radio(draft: Draft, told: dict[str, Any]) -> None:
    found = [part(one) for one in rows(told.get("rxInfo"))]
    heard(
        draft,
        (
            (eui(one.get("gatewayID") or one.get("mac")), one.get("rssi"), one.get("loRaSNR", one.get("snr")))
            for one in found
        ),
    )
    for one in found:
        draft.at = draft.at or instant(one.get("time"))
    sent = part(told.get("txInfo"))
    lora = part(sent.get("loRaModulationInfo"))
    numbers(
        draft,
        (
            ("fPort", told.get("fPort")),
            ("dr", told.get("dr", sent.get("dr"))),
            ("adr", told.get("adr")),
            ("confirmed", told.get("confirmedUplink")),
            ("frequency", sent.get("frequency")),
            ("spreadingFactor", lora.get("spreadingFactor")),
            ("bandwidth", lora.get("bandwidth")),
        ),
    )


def _happened(draft: Draft, event: str, told: dict[str, Any]) -> None:
    happened(draft, event)
    if event == "txack":
        sent = part(told.get("txInfo"))
        numbers(draft, (("txInfo.frequency", sent.get("frequency")), ("txInfo.power", sent.get("power"))))
    else:
        _radio(draft, told)
    gateway, address = told.get("gatewayID"), told.get("devAddr")
    in_bytes = base64(address) if isinstance(address, str) and len(address) == 8 and "=" in address else None
    texts(
        draft,
        (
            ("devAddr", in_bytes.hex() if in_bytes else address),
            ("type", told.get("type")),
            ("error", told.get("error")),
            ("gatewayID", eui(gateway)),
        ),
    )
    numbers(draft, (("acknowledged", told.get("acknowledged")), ("fCnt", told.get("fCnt"))))
