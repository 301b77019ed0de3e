"""Ruuvi Gateway: the tags it hears, over MQTT or HTTP, and how it is itself.

MQTT: `ruuvi/GATEWAY/TAG` and `ruuvi/GATEWAY/gw_status`. HTTP: its custom server, pointed at
`/ingest?decoder=ruuvi_gateway` (data and status alike; also what its own `/history` answers).

    {"gw_mac": "C8:25:2D:8E:9C:2C", "rssi": -25, "gwts": "1653668027", "ts": "1653668027", "data": "0201061BFF9904…"}

Out: a message for each tag, the device is its MAC address (`F41F0C28CBD6`), heard by the gateway, with what
`ruuvi_tag` has; tags of other makers as `ble_hci_adv` has them, and those that nobody knows with `rssi` and their
bytes (`data`). The gateway's status is a status of the gateway: `UPTIME` (s), `SENSORS_SEEN` …, `firmware`, how many
sensors are active.

Format: docs.ruuvi.com, Ruuvi Gateway, data formats.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import plain_address
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.heard import hexadecimal, say, tag
from ingest.decoders.ble.reading import Key
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import Draft
from ingest.decoders.explain import parse
from ingest.decoders.naming import mac_name

TOPICS = ("#/ruuvi/{device}/gw_status", "#/ruuvi/+/{device}")

Object = Mapping[str, Any]

_ROW = {"gw_mac", "rssi", "aoa", "gwts", "ts", "timestamp", "data", "coords", "id", "nonce"}
_COUNTS = {"cnt", "counter"}
_LISTS = {"ACTIVE_SENSORS", "INACTIVE_SENSORS"}
_NUMBERS = {"UPTIME", "NUM_CONN_LOST", "RESET_CNT", "SENSORS_SEEN", "NONCE"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message for each tag, or the gateway's; raises `Rejected`."""
    if not payload.data.strip():
        return ()
    root = parse(payload.data)
    if "DEVICE_ADDR" in root:
        return (_status(payload, root),)
    if "state" in root and "data" not in root:
        return (_state(payload, root),)
    key = keys_of(payload)
    data = root.get("data")
    if isinstance(data, dict):
        return _record(payload, data, key)  # pyright: ignore[reportUnknownArgumentType]
    if "gw_mac" not in root and not isinstance(data, str):
        raise Rejected("missing_field", "there is neither `data` nor `gw_mac`, nor a status (`DEVICE_ADDR`, `state`)")
    return (_tag(payload, _gateway(payload, root), _topic_tag(payload), root, key),)


def _gateway(payload: Payload, values: Object) -> str:
    own = values.get("gw_mac")
    levels = payload.source.topic.split("/")
    return own if isinstance(own, str) and own else levels[-2] if len(levels) > 2 else ""


def _topic_tag(payload: Payload) -> str:
    """The tag that the topic names, or the path, if it is an address."""
    last = payload.source.topic.rpartition("/")[2]
    return plain_address(last) or ("" if payload.source.topic else plain_address(payload.source.device))


def _record(payload: Payload, data: Object, key: Key) -> Sequence[Message | Rejected]:
    tags = data.get("tags")
    if not isinstance(tags, dict):
        raise Rejected("missing_field", "there is no `data.tags`, an object of tags by address")
    rows: Mapping[str, Any] = tags
    gateway = _gateway(payload, data)
    made: list[Message | Rejected] = []
    for address, row in rows.items():
        try:
            if not isinstance(row, dict):
                raise Rejected("bad_shape", f"the tag {address[:20]} is no object")  # noqa: TRY301 - of one tag only
            made.append(_tag(payload, gateway, address, row, key))  # pyright: ignore[reportUnknownArgumentType]
        except Rejected as error:
            made.append(error)
    return made


def _tag(payload: Payload, gateway: str, address: str, row: Object, key: Key) -> Message:
    advert = hexadecimal(row.get("data"))
    own = address or _of_advert(advert) or row.get("id") or ""
    draft = tag(payload, gateway, own if isinstance(own, str) else "", row.get("rssi"))
    draft.at = seconds(row.get("ts") or row.get("timestamp") or row.get("gwts"))
    say(draft, advert, key)
    for name, value in row.items():
        if name in _COUNTS:
            draft.number(name, value)
        elif name not in _ROW and name not in draft.fields:
            draft.tree(value, name)
    draft.put("coords", row.get("coords") if isinstance(row.get("coords"), str) else None)
    return draft.message()


def _of_advert(advert: bytes) -> str:
    """The address at the end of format 5, for a payload that came without its topic."""
    return advert[-6:].hex() if advert[4:8] == b"\xff\x99\x04\x05" and len(advert) == 31 else ""


def _status(payload: Payload, values: Object) -> Message:
    own = values["DEVICE_ADDR"]
    draft = Draft(payload, mac_name(own) if isinstance(own, str) and own else "", "status")
    for name, value in values.items():
        if name in _NUMBERS:
            draft.number(name, value)
        elif name not in _LISTS and name != "DEVICE_ADDR":
            draft.tree(value, name)
    for name in _LISTS:
        sensors = values.get(name)
        if isinstance(sensors, list):
            draft.put(name, len(sensors))  # pyright: ignore[reportUnknownArgumentType]
    nonce = draft.fields.get("NONCE")
    draft.seq = nonce if isinstance(nonce, int) and nonce >= 0 else None
    draft.texts["status"] = "online"
    draft.put("firmware", values.get("ESP_FW") if isinstance(values.get("ESP_FW"), str) else None)
    return draft.message()


def _state(payload: Payload, values: Object) -> Message:
    """What its last will and its greeting say: `{"state": "online"}`."""
    levels = payload.source.topic.split("/")
    own = levels[-2] if len(levels) > 1 else payload.source.device
    draft = Draft(payload, mac_name(own) if own else "", "status")
    draft.tree({name: value for name, value in values.items() if name != "state"})
    state = values["state"]
    draft.put("status", state if isinstance(state, str) else None)
    return draft.message()
