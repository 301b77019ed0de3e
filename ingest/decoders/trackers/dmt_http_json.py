"""Digital Matter: trackers that report through its HTTP/JSON connector, older ones in records, newer ones one by one.

`POST /ingest?decoder=dmt_http_json`. The device is the IMEI, else the serial number.

    {"date": "2021-10-04T18:14:55Z", "device": {"imei": "352656106127312", "fw": "1.12"}, "sqn": 40925, "reason": 1,
     "lat": 26.87, "lng": -80.1, "posAcc": 47.7, "analogues": [{"id": 1, "val": 4265}], "inputs": 1, "status": 137}

Out: position; `reason`, `inputs`, `outputs`, `status`, `ignition` (input 0), `posInfo.…`, `analogues.ID` as they
came; `counters.ID`, of which 0 is also `battery_voltage` (V) and 1 `battery` (%). In records: `Alt`, `Spd` (cm/s) as
`speed` (m/s), `Head`, `SpdAcc`, `PDOP`, `DIn`, `DOut`, `DevStat`, and of the analogue values `battery_voltage` (V),
`external_voltage` (V), `temperature` (°C), `rssi`, `solar_voltage` (V). Gateways of LoRaWAN devices are those that
heard it.

Format: Digital Matter's HTTP connector; scales as Traccar's decoder of it has them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import SCALARS, Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NUMBERS
from ingest.decoders.trackers.reading import each, read_json

Object = Mapping[str, Any]

_SCALED = {
    "1": ("battery_voltage", 1000),
    "2": ("external_voltage", 100),
    "3": ("temperature", 100),
    "4": ("rssi", 1),
    "5": ("solar_voltage", 1000),
}
_ABOUT = {"sn": "serial", "prod": "product", "rev": "revision", "fw": "firmware", "module": "module", "iccid": "iccid"}
_NAMES = (int, str)
_DONE = {"date", "device", "sqn", "lat", "lng", "posAcc", "analogues", "counters", "lora"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or one for each record; raises `Rejected`."""
    value = read_json(payload.data)
    if isinstance(value, list):
        raise Rejected("bad_shape", "this is an object with `device`, or with `IMEI` and `Records`")
    root: Object = value
    if isinstance(root.get("device"), dict):
        return (_edge(payload, root),)
    records = root.get("Records")
    if not isinstance(records, list):
        raise Rejected("missing_field", "there is neither `device`, an object, nor `Records`, a list")
    found: list[Any] = records
    return each(found, lambda record: (_record(payload, root, record),))


def _named(*candidates: Any) -> str:
    for own in candidates:
        if isinstance(own, str | int) and not isinstance(own, bool) and own != "":
            return device_name(str(own))
    return ""


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _edge(payload: Payload, root: Object) -> Message:
    about: Object = root["device"]
    draft = Draft(payload, _named(about.get("imei"), about.get("sn")))
    draft.at = instant(root.get("date"))
    draft.seq = _count(root.get("sqn"))
    for key, name in _ABOUT.items():
        value = about.get(key)
        if value is not None and value.__class__ in SCALARS:
            draft.put(name, str(value))
    for name, value in root.items():
        if name not in _DONE:
            draft.put(name, value) if value.__class__ in SCALARS else draft.tree(value, name)
    inputs = root.get("inputs")
    if isinstance(inputs, int):
        draft.put("ignition", bool(inputs & 1))
    for group in ("analogues", "counters"):
        _numbered(draft, group, root.get(group))
    fields = draft.fields
    if "counters.0" in fields:
        draft.put("battery_voltage", fields["counters.0"] / 1000)
    if "counters.1" in fields:
        draft.put("battery", fields["counters.1"] / 100)
    draft.place(root.get("lat"), root.get("lng"), None, root.get("posAcc"))
    _radio(draft, root.get("lora"))
    return draft.message()


def _numbered(draft: Draft, group: str, values: Any) -> None:
    """`[{"id": 1, "val": 4265}]`: those of them that are whole."""
    items: list[Any] = values if isinstance(values, list) else []
    for item in items:
        if item.__class__ is dict:
            number, value = item.get("id"), item.get("val")
            if isinstance(number, _NAMES) and isinstance(value, NUMBERS):
                draft.put(f"{group}.{number}", value)


def _radio(draft: Draft, lora: Any) -> None:
    if not isinstance(lora, dict):
        return
    found: dict[str, Any] = lora
    draft.tree({name: value for name, value in found.items() if name != "gw"}, "lora")
    gateways: list[Any] = found["gw"] if isinstance(found.get("gw"), list) else []
    for gateway in gateways:
        if isinstance(gateway, dict) and isinstance(gateway.get("id"), str) and gateway["id"]:  # pyright: ignore[reportUnknownMemberType]
            own: dict[str, Any] = gateway
            draft.heard_by.append(Heard(device_name(own["id"]), as_float(own.get("rssi")), as_float(own.get("snr"))))


def _record(payload: Payload, root: Object, record: Object) -> Message:
    draft = Draft(payload, _named(root.get("IMEI"), root.get("SerNo")))
    draft.at = instant(record.get("DateUTC"))
    draft.seq = _count(record.get("SeqNo"))
    draft.put("reason", record.get("Reason"))
    if isinstance(root.get("FW"), str):
        draft.put("firmware", root["FW"])
    fields = record.get("Fields")
    items: list[Any] = fields if isinstance(fields, list) else []
    for item in items:
        if isinstance(item, dict):
            _field(draft, item)  # pyright: ignore[reportUnknownArgumentType]
    return draft.message()


def _field(draft: Draft, field: Object) -> None:
    match field.get("FType"):
        case 0:
            draft.place(field.get("Lat"), field.get("Long"), field.get("Alt"), field.get("PosAcc"))
            draft.at = instant(field.get("GpsUTC")) if draft.at is None else draft.at
            speed = as_float(field.get("Spd"))
            draft.put("speed", None if speed is None else speed / 100)
            for name in ("Head", "SpdAcc", "PDOP", "GpsStat"):
                draft.number(name, field.get(name))
        case 2:
            for name in ("DIn", "DOut", "DevStat"):
                draft.number(name, field.get(name))
            if isinstance(field.get("DIn"), int):
                draft.put("ignition", bool(field["DIn"] & 1))
        case 6 | 7:
            values = field.get("AnalogueData")
            analogue: dict[str, Any] = values if isinstance(values, dict) else {}
            for key, value in analogue.items():
                name, factor = _SCALED.get(key, (f"AnalogueData.{key}", 1))
                number = as_float(value)
                draft.put(name, None if number is None else number / factor if factor > 1 else value)
        case kind:
            draft.tree({name: value for name, value in field.items() if name != "FType"}, f"FType{kind}")
