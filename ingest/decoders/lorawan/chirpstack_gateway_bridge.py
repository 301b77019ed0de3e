"""ChirpStack's gateways: what the Gateway Bridge, MQTT Forwarder and Gateway Mesh say about a gateway itself.

Topics: `gateway/GATEWAY/event/up|stats|ack|exec|raw|mesh`, `gateway/GATEWAY/state/conn`, also behind a region
(`eu868/gateway/…`); `…/command/…` is a command; before version 3 `gateway/GATEWAY/rx|stats|ack|tx`. Needs
`marshaler="json"`: Protobuf, which is the default, is refused with a word about it.

    {"gatewayId": "0016c001f153a14c", "time": "2022-08-03T14:37:59Z", "rxPacketsReceived": 1, "rxPacketsReceivedOk": 1,
     "location": {"latitude": 52.37, "longitude": 4.91, "altitude": 10}}

The device is the gateway, by its EUI. `stats` are its counters and place; `conn` says whether it is online. An uplink
here is still encrypted by its device's keys: what its header says (`devAddr`, `fCnt`, `fPort`, `mType`) and how it
was received is an event of the gateway; the values come from ChirpStack's own topics. A mesh event is its relay's.

Source: ChirpStack documentation, "Payloads" of the Gateway Bridge; `api/proto/gw/gw.proto`; LoRaWAN 1.0.4, 4 (frames).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.lorawan.network import base64, eui, fault, numbers, part, read, rows, said, texts
from ingest.decoders.naming import device_name

TOPICS = (
    "#/gateway/{device}/event/+",
    "#/gateway/{device}/state/+",
    "#/gateway/{device}/command/+",
    "gateway/{device}/rx",
    "gateway/{device}/stats",
    "gateway/{device}/ack",
    "gateway/{device}/tx",
)
_REMEDY = 'set marshaler="json" in the configuration of the Gateway Bridge (json=true in that of the MQTT Forwarder)'
_EVENTS = frozenset({"items", "stdout", "stderr", "execId", "execID", "payload", "error", "downlinkId"})
_SIGNS = (b'"rxPacketsReceived', b'"execI', b'"stdout"', b'"rawID"', b'"relayId"')
_TYPES = (
    "JoinRequest",
    "JoinAccept",
    "UnconfirmedDataUp",
    "UnconfirmedDataDown",
    "ConfirmedDataUp",
    "ConfirmedDataDown",
    "RejoinRequest",
    "Proprietary",
)


def recognises(data: bytes) -> bool:
    """An uplink frame as a gateway has received it, or a gateway's id beside what only these events have."""
    head = data[:2048]
    if data[:1] != b"{" or b'"gatewayI' not in head:
        return False
    return (b'"phyPayload"' in head and b'"rxInfo"' in head) or any(sign in head for sign in _SIGNS)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One event, one message; of the mesh, one each."""
    if not payload.data:
        return ()
    told = read(payload, "ChirpStack's gateway", _REMEDY)
    gateway = eui(_of(told, "gatewayId") or _of(part(told.get("rxInfo")), "gatewayId"))
    levels = payload.source.topic.rsplit("/", 2)
    if "relayId" in told or "relayID" in told:
        return list(_mesh(payload, told, gateway))
    draft = Draft(payload, gateway)
    draft.at = instant(told.get("time"))
    if levels[-2:-1] == ["command"] or levels[-1] == "tx":
        draft.kind = "command"
        draft.texts["command"] = levels[-1]
        draft.tree(told)
    elif "state" in told:
        _state(draft, told["state"])
    elif "phyPayload" in told:
        _frame(draft, told)
    elif any(name.startswith(("rxPackets", "txPackets")) for name in told):
        _stats(draft, told)
    elif not _EVENTS.isdisjoint(told):
        _event(draft, told, levels[-1])
    else:
        raise fault(next(iter(told), ""), "a ChirpStack gateway")
    return draft.messages()


def _of(told: dict[str, Any], name: str) -> Any:
    """A value by its name of today, or of version 3 (`gatewayID`)."""
    return told.get(name) or told.get(name.replace("Id", "ID"))


def _state(draft: Draft, state: Any) -> None:
    draft.kind = "status"
    if state in {"ONLINE", "OFFLINE", 1, 0} and state.__class__ is not bool:
        draft.texts["status"] = "online" if state in {"ONLINE", 1} else "offline"
    else:
        raise Rejected("bad_value", f"a gateway is ONLINE or OFFLINE, not {str(state)[:40]!r}")


def _stats(draft: Draft, told: dict[str, Any]) -> None:
    place = part(told.get("location"))
    draft.place(place.get("latitude"), place.get("longitude"), place.get("altitude"), place.get("accuracy"))
    for name, value in told.items():
        if name.startswith(("rxPackets", "txPackets")):
            if value.__class__ is list:
                _per_modulation(draft, name, rows(value))
            else:
                draft.tree(value, name)
    draft.tree(part(told.get("metaData") or told.get("metadata")), "metadata")
    texts(draft, (("ip", told.get("ip")), ("configVersion", told.get("configVersion"))))


def _per_modulation(draft: Draft, name: str, counts: list[Any]) -> None:
    """`…PerModulation`: the count by spreading factor or kind of modulation."""
    for one in counts:
        way = part(part(one).get("modulation"))
        lora = part(way.get("lora"))
        factor = lora.get("spreadingFactor")
        label = f"SF{factor}" if factor.__class__ is int else next(iter(way), "other")
        numbers(draft, ((f"{name}.{label}", part(one).get("count")),))


def _frame(draft: Draft, told: dict[str, Any]) -> None:
    """A frame that this gateway has received: what is not encrypted of it."""
    _happened(draft, "up")
    received, sent = part(told.get("rxInfo")), part(told.get("txInfo"))
    lora = part(part(sent.get("modulation")).get("lora")) or part(sent.get("loRaModulationInfo"))
    draft.at = instant(received.get("time") or received.get("gwTime") or received.get("nsTime"))
    numbers(
        draft,
        (
            ("rssi", received.get("rssi")),
            ("snr", received.get("snr", received.get("loRaSNR"))),
            ("frequency", sent.get("frequency")),
            ("spreadingFactor", lora.get("spreadingFactor")),
            ("bandwidth", lora.get("bandwidth")),
        ),
    )
    data = base64(told["phyPayload"])
    if not data:
        draft.note("phyPayload", "it is not base64")
        return
    kind = data[0] >> 5
    draft.texts["mType"] = _TYPES[kind]
    draft.texts["phyPayload"] = data.hex()[:1024]
    if 2 <= kind <= 5 and len(data) >= 12:
        options = data[5] & 0x0F
        draft.texts["devAddr"] = data[4:0:-1].hex()
        draft.fields["fCnt"] = int.from_bytes(data[6:8], "little")
        if len(data) > 12 + options:
            draft.fields["fPort"] = data[8 + options]
    elif kind == 0 and len(data) == 23:
        draft.texts["joinEui"], draft.texts["devEui"] = data[8:0:-1].hex(), data[16:8:-1].hex()


def _event(draft: Draft, told: dict[str, Any], event: str) -> None:
    if event not in {"ack", "exec", "raw"}:
        event = "exec" if "stdout" in told or "stderr" in told else "ack" if "items" in told else "raw"
    _happened(draft, event)
    for name, value in told.items():
        if name not in {"gatewayId", "gatewayID", "time"}:
            draft.tree(value, name)


def _mesh(payload: Payload, told: dict[str, Any], gateway: str) -> Iterator[Message | Rejected]:
    """What a relay of the mesh has sent, through the gateway at its border."""
    relay = said(_of(told, "relayId"))
    for event in rows(told.get("events")):
        draft = Draft(payload, device_name(relay) if relay else "", "event")
        draft.at = instant(told.get("time"))
        if gateway:
            draft.heard_by = [Heard(gateway)]
        for name, value in part(event).items():
            draft.texts["event"] = f"mesh.{name}"[:64]
            draft.tree(value, name)
        try:
            yield draft.message()
        except Rejected as error:
            yield error


def _happened(draft: Draft, name: str) -> None:
    draft.kind = "event"
    draft.texts["event"] = name
