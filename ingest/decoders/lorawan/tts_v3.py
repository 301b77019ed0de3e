"""The Things Stack v3 (The Things Network): what its applications publish over MQTT and by webhooks.

Topics: `v3/APPLICATION@TENANT/devices/DEVICE/up`, `…/join`, `…/down/queued|sent|ack|nack|failed`, `…/location/solved`,
`…/service/data`, `…/up/normalized`; `…/down/push|replace` are commands. HTTP: the JSON of a webhook, or of the storage
integration, line by line.

    {"end_device_ids": {"device_id": "dev1", "dev_eui": "0004A30B001C0530"}, "received_at": "2020-02-12T15:15:45.787Z",
     "uplink_message": {"f_port": 1, "f_cnt": 5, "frm_payload": "AQ==", "decoded_payload": {"temperature": 21.5},
     "rx_metadata": [{"gateway_ids": {"gateway_id": "gtw1"}, "rssi": -35, "snr": 5.2}]}}

The device is its end device id, which stays if it gets another name or radio. Values are those of `decoded_payload`,
under their own names; without them the codec of the device's model (`brand/model`, or the model of the registry) reads
`frm_payload`, and without a codec it is kept in hex. Gateways are in `heard_by`; the strongest one's `rssi` and `snr`
are fields too. `locations` place the device, not the gateway. Joins, downlinks and results of services are events.

Source: The Things Stack documentation, "Data Formats"; `api/ttn/lorawan/v3/messages.proto`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.lorawan.network import (
    base64,
    content,
    counter,
    fault,
    heard,
    numbers,
    part,
    read,
    rows,
    said,
    texts,
)
from ingest.decoders.naming import device_name

TOPICS = (
    "#/v3/+/devices/{device}/up",
    "#/v3/+/devices/{device}/up/normalized",
    "#/v3/+/devices/{device}/join",
    "#/v3/+/devices/{device}/down/+",
    "#/v3/+/devices/{device}/location/solved",
    "#/v3/+/devices/{device}/service/data",
)
_DOWN = ("queued", "sent", "ack", "nack", "failed", "queue_invalidated")


def recognises(data: bytes) -> bool:
    """The ids of an end device stand in all of it."""
    return data[:1] == b"{" and b'"end_device_ids"' in data[:4096]


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message a device and kind; a list of downlinks is as many commands."""
    if not payload.data:
        return ()
    up = read(payload, "The Things Stack", "set the format of its webhook or integration to JSON")
    inner = up.get("result")
    if inner.__class__ is dict:
        up = part(inner)
    if "downlinks" in up:
        return list(_commands(payload, up))
    draft = _draft(payload, up)
    for name, fill in _KINDS.items():
        if up.get(name).__class__ is dict:
            fill(draft, payload, up[name])
            draft.at = draft.at or instant(up.get("received_at"))
            return draft.messages()
    draft.at = instant(up.get("received_at"))
    for what in _DOWN:
        name = f"downlink_{what}"
        if up.get(name).__class__ is dict:
            _downlink(draft, name, up[name])
            return draft.messages()
    raise fault(next(iter(up), ""), "The Things Stack")


def _draft(payload: Payload, up: dict[str, Any]) -> Draft:
    ids = part(up.get("end_device_ids"))
    own = said(ids.get("device_id")) or said(ids.get("dev_eui"))
    draft = Draft(payload, device_name(own) if own else "")
    texts(
        draft,
        (
            ("dev_eui", ids.get("dev_eui")),
            ("dev_addr", ids.get("dev_addr")),
            ("application_id", part(ids.get("application_ids")).get("application_id")),
        ),
    )
    if up.get("simulated") is True:
        draft.fields["simulated"] = True
    return draft


def _uplink(draft: Draft, payload: Payload, message: dict[str, Any]) -> None:
    _received(draft, message)
    charge = as_float(part(message.get("last_battery_percentage")).get("value"))
    if charge is not None and 0 <= charge <= 100:
        draft.fields["battery"] = charge
    brand = part(message.get("version_ids"))
    maker, model = said(brand.get("brand_id")), said(brand.get("model_id"))
    content(
        draft,
        payload,
        message.get("decoded_payload"),
        base64(message.get("frm_payload")),
        message.get("f_port", 0),
        (f"{maker}/{model}" if model else "", model),
    )
    _warnings(draft, message.get("decoded_payload_warnings"))
    _located(draft, part(message.get("locations")))


def _normalized(draft: Draft, payload: Payload, message: dict[str, Any]) -> None:
    del payload
    _received(draft, message)
    draft.tree(part(message.get("normalized_payload")))
    _warnings(draft, message.get("normalized_payload_warnings"))
    _located(draft, part(message.get("locations")))


def _received(draft: Draft, message: dict[str, Any]) -> None:
    """When, by whom, and what kind of device it is."""
    draft.at = instant(message.get("received_at"))
    draft.seq = counter(message.get("f_cnt", 0))
    _radio(draft, message)
    _versions(draft, message)


def _radio(draft: Draft, message: dict[str, Any]) -> None:
    """Who heard it and how it was sent."""
    found: list[tuple[str, Any, Any]] = []
    strongest: float | None = None
    for one in rows(message.get("rx_metadata")):
        if one.__class__ is not dict:
            continue
        channel = one.get("channel_rssi")
        found.append((_gateway(one.get("gateway_ids")), one.get("rssi", channel), one.get("snr")))
        if (channel.__class__ is int or channel.__class__ is float) and (strongest is None or channel > strongest):
            strongest = channel
    heard(draft, found)
    settings = part(message.get("settings"))
    lora = part(part(settings.get("data_rate")).get("lora"))
    airtime = message.get("consumed_airtime")
    numbers(
        draft,
        (
            ("channel_rssi", strongest),
            ("f_port", message.get("f_port")),
            ("frequency", settings.get("frequency")),
            ("spreading_factor", lora.get("spreading_factor")),
            ("bandwidth", lora.get("bandwidth")),
            ("consumed_airtime", airtime[:-1] if isinstance(airtime, str) else None),  # 0.061696s
            ("packet_error_rate", message.get("packet_error_rate")),
            ("confirmed", message.get("confirmed")),
        ),
    )


def _gateway(ids: Any) -> str:
    if ids.__class__ is not dict:
        return ""
    return said(ids.get("gateway_id")) or said(ids.get("eui")).lower()


def _versions(draft: Draft, message: dict[str, Any]) -> None:
    versions = part(message.get("version_ids"))
    if versions:
        texts(
            draft,
            (
                ("manufacturer", versions.get("brand_id")),
                ("model", versions.get("model_id")),
                ("firmware", versions.get("firmware_version")),
            ),
        )
    for name, value in part(message.get("attributes")).items():
        texts(draft, ((f"attributes.{name}", value),))


def _warnings(draft: Draft, given: Any) -> None:
    lines = [one for one in rows(given) if one.__class__ is str]
    if lines:
        draft.note("codec", "; ".join(lines))


def _located(draft: Draft, places: dict[str, Any]) -> None:
    """A place that a payload or service found goes before the one that somebody entered."""
    for name in sorted(places, key=lambda name: name == "user"):
        _place(draft, part(places[name]))
        if draft.position is not None:
            return


def _place(draft: Draft, place: dict[str, Any]) -> None:
    if place:
        draft.place(place.get("latitude"), place.get("longitude"), place.get("altitude"), place.get("accuracy"))


def _joined(draft: Draft, payload: Payload, message: dict[str, Any]) -> None:
    del payload
    _event(draft, "join_accept")
    draft.at = instant(message.get("received_at"))
    if message.get("pending_session").__class__ is bool:
        draft.fields["pending_session"] = message["pending_session"]
    _versions(draft, message)


def _solved(draft: Draft, payload: Payload, message: dict[str, Any]) -> None:
    del payload
    _event(draft, "location_solved")
    place = part(message.get("location"))
    _place(draft, place)
    texts(draft, (("service", message.get("service")), ("source", place.get("source"))))
    draft.tree(part(message.get("attributes")), "attributes")


def _served(draft: Draft, payload: Payload, message: dict[str, Any]) -> None:
    del payload
    _event(draft, "service_data")
    texts(draft, (("service", message.get("service")),))
    draft.tree(part(message.get("data")))


def _event(draft: Draft, name: str) -> None:
    draft.kind = "event"
    draft.texts["event"] = name


def _downlink(draft: Draft, name: str, message: dict[str, Any]) -> None:
    _event(draft, name)
    error = part(message.get("error"))
    texts(
        draft,
        (
            ("error", error.get("message_format")),
            ("error.name", error.get("name")),
            ("error.namespace", error.get("namespace")),
        ),
    )
    numbers(draft, (("last_f_cnt_down", message.get("last_f_cnt_down")),))
    _down(draft, part(message.get("downlink")) or message)


def _down(draft: Draft, message: dict[str, Any]) -> None:
    """What is, or was, sent to the device."""
    numbers(
        draft,
        (("f_port", message.get("f_port")), ("f_cnt", message.get("f_cnt")), ("confirmed", message.get("confirmed"))),
    )
    data = base64(message.get("frm_payload"))
    texts(draft, (("frm_payload", data.hex() if data else ""), ("priority", message.get("priority"))))
    draft.tree(part(message.get("decoded_payload")), "" if draft.kind == "command" else "downlink")


def _commands(payload: Payload, up: dict[str, Any]) -> Iterator[Message | Rejected]:
    for one in rows(up["downlinks"]):
        draft = _draft(payload, up)
        draft.kind = "command"
        _down(draft, part(one))
        try:
            yield draft.message()
        except Rejected as error:
            yield error


_KINDS = {
    "uplink_message": _uplink,
    "uplink_normalized": _normalized,
    "join_accept": _joined,
    "location_solved": _solved,
    "service_data": _served,
}
