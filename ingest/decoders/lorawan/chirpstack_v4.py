"""ChirpStack 4: what its applications' devices say, over MQTT and by its HTTP integration.

Topics: `application/APPLICATION/device/DEVEUI/event/up|join|ack|txack|log|status|location|integration`, also behind a
prefix; `…/command/down` is a command. HTTP: the same JSON, with `?event=up`. Needs JSON (`json=true` in
`[integration.mqtt]`), which is ChirpStack's default.

    {"deduplicationId": "3ac7e3c4-…", "time": "2022-07-18T09:34:15.775Z", "fCnt": 4, "fPort": 1,
     "deviceInfo": {"deviceName": "cellar", "devEui": "0101010101010101", "deviceProfileName": "EM300-TH"},
     "object": {"temperature": 21.5}, "rxInfo": [{"gatewayId": "0016c001f153a14c", "rssi": -36, "snr": 10.5}]}

The device is its DevEUI, which stays if it is renamed; `name` is its name, `model` its device profile, `tags.…` its
tags. Values are those of `object`, under their own names; without it the codec of the device's model or profile reads
`data`, and without a codec it is kept in hex. Gateways are in `heard_by`; the strongest one's `rssi` and `snr` are
fields too, and where a gateway stands is not taken for the device's place. `status` gives `battery` (%) and `margin`;
joins, acknowledgements, logs and integrations are events. Version 3 uses the same topics: its content tells it apart.

Source: ChirpStack documentation, "Event types"; `api/proto/integration/integration.proto`.
"""

from collections.abc import Callable, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.lorawan import chirpstack_v3
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

TOPICS = ("#/application/+/device/{device}/event/+", "#/application/+/device/{device}/command/down")
_REMEDY = "set json=true in [integration.mqtt] of its configuration, or JSON as the encoding of its HTTP integration"


def recognises(data: bytes) -> bool:
    """Version 4 says who the device is in `deviceInfo`."""
    head = data[:4096]
    return data[:1] == b"{" and b'"deviceInfo"' in head and b'"devEui"' in head


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One event, one message."""
    if not payload.data:
        return ()
    told = read(payload, "ChirpStack", _REMEDY)
    if "deviceInfo" not in told and ("devEUI" in told or "applicationID" in told):
        return chirpstack_v3.decode_json(payload, told)
    draft = Draft(payload, eui(part(told.get("deviceInfo")).get("devEui") or told.get("devEui")))
    event = event_of(payload) or _guess(told)
    draft.at = instant(told.get("time"))
    _about(draft, part(told.get("deviceInfo")), told)
    fill = _EVENTS.get(event)
    if fill is not None:
        fill(draft, told)
    elif event == "up":
        _up(draft, payload, told)
    else:
        raise fault(event or next(iter(told), ""), "ChirpStack")
    own = said(told.get("deduplicationId"))
    if own and len(own) <= 40 and own.isprintable():
        draft.id = own if event == "up" else f"{own}-{event}"
    return draft.messages()


def _guess(event: dict[str, Any]) -> str:
    """Without topic and query, what only this event has."""
    for name, keys in _SIGNS:
        if any(key in event for key in keys):
            return name
    return "join" if "devAddr" in event and "rxInfo" not in event else "up" if "rxInfo" in event else ""


_SIGNS = (
    ("status", ("margin", "batteryLevel", "externalPowerSource", "batteryLevelUnavailable")),
    ("log", ("level", "code")),
    ("ack", ("acknowledged",)),
    ("txack", ("downlinkId", "gatewayId")),
    ("location", ("location",)),
    ("integration", ("integrationName",)),
    ("up", ("fPort", "fCnt", "data", "object")),
    ("ack", ("queueItemId",)),
)


def _about(draft: Draft, info: dict[str, Any], event: dict[str, Any]) -> None:
    """Whose device it is, and what people call it."""
    texts(
        draft,
        (
            ("name", info.get("deviceName")),
            ("model", info.get("deviceProfileName")),
            ("applicationName", info.get("applicationName")),
            ("devEui", info.get("devEui")),
            ("devAddr", event.get("devAddr")),
        ),
    )
    tags = part(info.get("tags"))
    if tags:
        texts(draft, ((f"tags.{name}", value) for name, value in tags.items()))


def _up(draft: Draft, payload: Payload, event: dict[str, Any]) -> None:
    draft.seq = counter(event.get("fCnt", 0))
    found = [part(one) for one in rows(event.get("rxInfo"))]
    heard(draft, ((eui(one.get("gatewayId")), one.get("rssi"), one.get("snr")) for one in found))
    _sent(draft, event)
    info = part(event.get("deviceInfo"))
    content(
        draft,
        payload,
        event.get("object"),
        base64(event.get("data")),
        event.get("fPort", 0),
        (said(info.get("deviceProfileName")), said(info.get("deviceProfileId"))),
    )


def _sent(draft: Draft, event: dict[str, Any]) -> None:
    transmission = part(event.get("txInfo"))
    lora = part(part(transmission.get("modulation")).get("lora"))
    numbers(
        draft,
        (
            ("fPort", event.get("fPort")),
            ("dr", event.get("dr")),
            ("adr", event.get("adr")),
            ("confirmed", event.get("confirmed")),
            ("frequency", transmission.get("frequency")),
            ("spreadingFactor", lora.get("spreadingFactor")),
            ("bandwidth", lora.get("bandwidth")),
        ),
    )


def _event(name: str, *also: str) -> Callable[[Draft, dict[str, Any]], None]:
    """An event of which every part of these names is told."""

    def fill(draft: Draft, event: dict[str, Any]) -> None:
        happened(draft, name)
        for key in also:
            draft.tree(event.get(key), key)
        sent = part(event.get("txInfo"))  # a downlink's
        numbers(draft, (("txInfo.frequency", sent.get("frequency")), ("txInfo.power", sent.get("power"))))

    return fill


_EVENTS = {
    "join": _event("join"),
    "ack": _event("ack", "acknowledged", "fCntDown", "queueItemId"),
    "txack": _event("txack", "fCntDown", "queueItemId", "gatewayId", "downlinkId"),
    "log": _event("log", "level", "code", "description", "context"),
    "status": status,
    "location": located,
    "integration": integrated,
    "down": command,
}
