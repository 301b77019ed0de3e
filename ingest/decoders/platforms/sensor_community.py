"""Sensor.Community (luftdaten.info): what the airRohr sensors push, and the measurements of its API.

By HTTP `?decoder=sensor_community`: as "own API" of the firmware, or elements of data.json, one or a list. By MQTT
nothing is known to use it.

    {"esp8266id": "12345", "software_version": "NRZ-2020-133", "sensordatavalues": [
      {"value_type": "SDS_P1", "value": "19.13"}, {"value_type": "BME280_temperature", "value": "18.80"}]}

Comes out: device `esp8266-12345` (of the API: the sensor's number), fields as the values are called (`SDS_P1` is PM10,
`SDS_P2` PM2.5, in µg/m³), numbers all of them; pressure is made hPa, `signal` is `rssi`. GPS values or the location are
the position. Values of more than one time (elements of a list) are a message each; `id` is the API's.

Source of the format: the firmware's description of its JSON (opendata-stuttgart/meta, "APIs").
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import object_at, read, text_at

_BOARDS = (("esp8266id", "esp8266"), ("esp32id", "esp32"), ("raspiid", "raspi"))
_PLACE = {"GPS_lat": "lat", "GPS_lon": "lon", "GPS_height": "alt", "GPS_alt": "alt"}
_PASCAL = ("pressure", "pressure_at_sealevel")
_WORDS = frozenset({"GPS_date", "GPS_time", "GPS_timestamp"})


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each measurement."""
    if not payload.data.strip():
        return ()
    said = read(payload.data)
    return each(said if isinstance(said, list) else [said], lambda one: _measurement(payload, one))


def _measurement(payload: Payload, one: Any) -> list[Message]:
    if not isinstance(one, dict) or not isinstance(one.get("sensordatavalues"), list):
        raise Rejected("bad_shape", "a measurement of Sensor.Community has a list `sensordatavalues`")
    draft = Draft(payload, _device(one))
    draft.id = text_at(one, "id")[:64]
    draft.at = instant(one.get("timestamp"))
    draft.put("software_version", text_at(one, "software_version"))
    kind = object_at(object_at(one, "sensor"), "sensor_type")
    draft.put("model", text_at(kind, "name"))
    draft.put("manufacturer", text_at(kind, "manufacturer"))
    spot: dict[str, Any] = {}
    for item in one["sensordatavalues"]:
        _value(draft, item, spot)
    where = object_at(one, "location")
    draft.place(where.get("latitude"), where.get("longitude"), where.get("altitude"))
    draft.place(spot.get("lat"), spot.get("lon"), spot.get("alt"))
    return draft.messages()


def _value(draft: Draft, item: Any, spot: dict[str, Any]) -> None:
    if not isinstance(item, Mapping):
        raise Rejected("bad_shape", "a value has a `value_type` and a `value`")
    name, value = text_at(item, "value_type"), item.get("value")
    if not name or value is None:
        return
    if name in _PLACE:
        spot[_PLACE[name]] = value
        return
    number = as_float(value)
    if name in _WORDS:
        draft.at = draft.at or instant(value)
        draft.tree(value, name)
    elif number is None:
        draft.note(name, f"{value!s:.64} is no number")
    elif name == "signal":
        draft.put("rssi", number)
    elif name.endswith(_PASCAL) and number > 20_000:
        draft.put(name, round(number / 100, 4))
    else:
        draft.put(name, number)


def _device(one: Mapping[str, Any]) -> str:
    for key, board in _BOARDS:
        number = text_at(one, key)
        if number:
            return device_name(f"{board}-{number}")
    number = text_at(object_at(one, "sensor"), "id")
    return device_name(number) if number else ""
