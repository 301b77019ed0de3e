"""Theengs Gateway and OpenMQTTGateway where they hand on adverts as they heard them, decoded or not.

Topic: `home/GATEWAY/BTtoMQTT/undecoded` (base topic and gateway's name are free); `home/TheengsGateway/presence` says
how far away a tag is (`distance`, m). What has `model` is taken as it is; otherwise `manufacturerdata` and
`servicedata` are decoded here, by the same table as all adverts, and named as Theengs does: `tempc`, `tempf`, `hum`,
`batt`, `volt`, `pres` (hPa), `lux`, `moi`, `fer`, `co2`, `accx` …; texts `brand`, `model`, `model_id`, `type`. Phones,
watches and key finders only show that they are there.

The device is `id`, else the MAC address in the data, else the name of the path; the gateway is in `heard_by`. A key for
an encrypted advert comes as `?bindkey=`; without it, Shelly's and pvvx's keep `cipher`, `ctr` and `mic`, others are
rejected as `encrypted`. The package TheengsDecoder is not needed and not used.

Example: `{"id":"A4:C1:38:00:11:22","name":"GVH5075_1122","manufacturerdata":"88ec000418ee6400","rssi":-70}` → 26.8 °C,
52.6 %, battery 100 %. Format: gateway.theengs.io "Use", decoder.theengs.io (device pages).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.advert import Advert, plain_address
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.known import read
from ingest.decoders.ble.makers.mibeacon_models import MODELS as MIBEACONS
from ingest.decoders.ble.makers.trackers import presence
from ingest.decoders.ble.reading import Key, Reading, Values
from ingest.decoders.ble.theengs_models import Model
from ingest.decoders.ble.theengs_names import told_by_theengs
from ingest.decoders.ble.theengs_sealed import sealed
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.explain import parse
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import NESTED

TOPICS = ("#/BTtoMQTT/undecoded", "home/TheengsGateway/presence")
_MARKS = ("BTtoMQTT", "presence")
_RAW = frozenset({"manufacturerdata", "servicedata", "servicedatauuid"})
_APRIL = b"\xab\x03"
_HUAMI = "fee0"
_MOST = 4096
_ENVIRONMENTAL = {13, 15, 16, 18}
_QINGPING = {0x08, 0x48, 0x88, 0xC8}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One advert, as a JSON object."""
    if not payload.data.strip():
        return ()
    value = parse(payload.data)
    found = {} if "model" in value or _is_presence(value) else properties(value, keys_of(payload))
    draft = Draft(payload, _device(payload, value, found))
    for name, item in value.items():
        if isinstance(item, NESTED):
            draft.tree(item, name)
        elif not found or name not in _RAW:
            draft.put(name, item)
    _fill(draft, found)
    percent = draft.fields.get("batt")
    if percent is not None and 0 <= percent <= 100:
        draft.fields["battery"] = percent
    gateway = _gateway(payload)
    if gateway and gateway != draft.device:
        draft.heard_by = [Heard(gateway, as_float(value.get("rssi")))]
    return [draft.message()]


def _fill(draft: Draft, found: Mapping[str, Any]) -> None:
    fields, texts = draft.fields, draft.texts
    for name, item in found.items():
        kind = item.__class__
        if kind is str and item:  # ours, or a few bytes of the advert
            texts[name] = item
        elif kind is bool:
            fields[name] = item
        elif item is None:
            draft.note(name, "no value: the sensor or probe is not there, or not ready")
        else:
            draft.put(name, item)


def properties(value: Mapping[str, Any], key: Key) -> Values:
    """What an advert handed on undecoded says, in the words of Theengs. Raises `Rejected` where nobody knows it."""
    advert = _advert(value)
    model, values, address = _understood(advert, key)
    if model is not None:
        values |= {"brand": model.brand, "model": model.model, "model_id": model.model_id, "type": model.type}
        values |= model.always
    if address:
        values["mac"] = ":".join(address[at : at + 2] for at in range(0, 12, 2))
    return values


def _understood(advert: Advert, key: Key) -> tuple[Model | None, Values, str]:
    """Theengs's model, None where it has none, its properties, and whose address it is."""
    try:
        reading = _april(advert) or read(advert, key) or presence(advert)
    except Rejected as error:
        shut = sealed(advert, error.detail) if error.reason == "encrypted" and not key(advert.address) else None
        if shut is None:
            raise
        return *shut, advert.address
    if reading is None:
        raise Rejected("unsupported", "no maker's format fits this advert")
    model, values = told_by_theengs(advert, reading)
    if model is None:
        values |= {"model": reading.model, "brand": reading.firmware}
    return model, values, reading.address or advert.address


def supplement(payload: Payload, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """For gateways that hand on what they could not decode beside what they could: what is known of it here."""
    if "model" in value or _RAW.isdisjoint(value):
        return {}
    try:
        found = properties(value, keys_of(payload))
    except Rejected as error:
        return {"note.advert": error.detail} if error.reason == "encrypted" else {}
    return {name: item for name, item in found.items() if item is not None}


def _advert(value: Mapping[str, Any]) -> Advert:
    own, service = _bytes(value.get("manufacturerdata")), _bytes(value.get("servicedata"))
    uuid = str(value.get("servicedatauuid") or "").removeprefix("0x").replace("-", "").lower()
    if service and not uuid:
        uuid = _HUAMI if own[:2] == b"\x57\x01" else _likely(service)
    named, rssi = value.get("name"), as_float(value.get("rssi"))
    return Advert(
        plain_address(str(value.get("id") or value.get("mac") or "")),
        None if rssi is None else round(rssi),
        named if isinstance(named, str) else "",
        manufacturer={own[0] | own[1] << 8: own[2:]} if len(own) >= 2 else {},
        service_data={uuid: service} if service else {},
        structures=((0xFF, own),) if own else (),
    )


def _bytes(text: object) -> bytes:
    """Hex digits; gateways mask some and cut others, so that what is none of it is nothing."""
    if not isinstance(text, str) or len(text) > _MOST:
        return b""
    try:
        return bytes.fromhex(text[: len(text) // 2 * 2])
    except ValueError:
        return b""


def _likely(data: bytes) -> str:
    """The service of data whose UUID was not handed on, by its shape."""
    if len(data) >= 5 and data[2] | data[3] << 8 in MIBEACONS and data[1] >> 4 in range(2, 6):
        return "fe95"
    if data[:1] in {b"\x40", b"\x41", b"\x44", b"\x45"}:
        return "fcd2"
    if len(data) > 9 and data[0] in _QINGPING:
        return "fdcd"
    return "181a" if len(data) in _ENVIRONMENTAL else ""


def _april(advert: Advert) -> Reading | None:
    """April Brother's N03: own address, battery, eighths of °C, halves of a percent, lux."""
    data = next((data for data in advert.service_data.values() if data[:2] == _APRIL), b"")
    if len(data) != 15:
        return None
    values: Values = {
        "battery": data[8],
        "temperature": int.from_bytes(data[9:11], "little", signed=True) / 8,
        "humidity": int.from_bytes(data[11:13], "little") / 2,
        "illuminance": int.from_bytes(data[13:15], "little"),
    }
    return Reading("ABN03", "ABN03", values, address=data[2:8].hex().upper())


def _is_presence(value: Mapping[str, Any]) -> bool:
    """How far away a tag is, without what it says."""
    return "distance" in value and "id" in value and _RAW.isdisjoint(value)


def _device(payload: Payload, value: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for own in (value.get("id"), found.get("mac"), value.get("mac")):
        if isinstance(own, str) and own:
            return mac_name(own)
    return payload.source.device


def _gateway(payload: Payload) -> str:
    """The level before `BTtoMQTT` or `presence`; over HTTP, the path's device, unless that is the tag."""
    levels = payload.source.topic.split("/")
    before = next((levels[levels.index(mark) - 1] for mark in _MARKS if mark in levels[1:]), "")
    if any(letter.isalnum() for letter in before):
        return device_name(before)
    return payload.source.device
