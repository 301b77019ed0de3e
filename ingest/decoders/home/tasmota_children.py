"""Devices that a Tasmota hears and speaks for: Zigbee, LoRaWAN, iBeacons, Bluetooth sensors.

In: a Tasmota's JSON object. Out: a message for each device, heard by the Tasmota; and what is left, its own.

`{"ZbReceived":{"0x5ADF":{"Device":"0x5ADF","Name":"Lamp","Power":1,"Endpoint":1,"LinkQuality":80}}}` → device `Lamp`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.tasmota_values import as_rssi, instant_of, put_all
from ingest.decoders.home.values import text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

_RECEIVED = frozenset({"ZbReceived", "ZbLight", "LwReceived", "LwDecoded", "ZbInfo"})
_LISTS = frozenset({"ZbStatus1", "ZbStatus2", "ZbStatus3"})
_PARTS = _RECEIVED | _LISTS | {"IBEACON", "BLEDevices", "Device"}
_ABOUT = {"ModelId": "model", "Manufacturer": "manufacturer", "Name": "name", "DevEUI": "eui", "IEEEAddr": "address"}
_SAID = frozenset({"Device", "Name", "ModelId", "Manufacturer", "Endpoint", "Endpoints", "LinkQuality", "DevEUI"})
_AROUND = ("Time", "Epoch", "TempUnit", "PressureUnit", "SpeedUnit")
_MAC = re.compile(r"[0-9A-Fa-f]{12}|(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")

Child = tuple[str, str, Mapping[str, Any]]
"""The part of the payload, the name in it, and what is said."""


def split(payload: Payload, last: str, value: Mapping[str, Any]) -> tuple[list[Message | Rejected], dict[str, Any]]:
    """What was heard, and the rest. A child that cannot be read is a `Rejected`, and the others go on."""
    own: dict[str, Any] = {}
    made: list[Message | Rejected] = []
    if not _speaks_for_others(value):
        return made, {**value}
    gateway = ""
    around = {name: value[name] for name in _AROUND if name in value}
    for key, item in value.items():
        children = list(_children(key, item))
        if not children:
            own[key] = item
            continue
        gateway = gateway or _gateway(payload)
        for child in children:
            try:
                made.append(_message(payload, gateway, child, around))
            except Rejected as error:
                made.append(error)
    if "Device" in own and ("LinkQuality" in own or last == "ZbReceived"):
        try:
            return [*made, _message(payload, _gateway(payload), (last, str(own["Device"]), own), around)], {}
        except Rejected as error:
            return [*made, error], {}
    return made, own


def _speaks_for_others(value: Mapping[str, Any]) -> bool:
    """Quickly, whether there may be a child in it: nearly always there is none."""
    for key, item in value.items():
        if key in _PARTS or (item.__class__ is dict and ("mac" in item or "MAC" in item)):
            return True
    return False


def _gateway(payload: Payload) -> str:
    return Draft(payload).device


def _children(key: str, item: Any) -> Iterator[Child]:
    if key in _RECEIVED and isinstance(item, dict):
        for name, said in item.items():
            yield key, name, said
    elif (key in _LISTS and isinstance(item, list)) or key == "IBEACON":
        part, names = ("ZbInfo", ("Device",)) if key in _LISTS else (key, ("MAC", "mac", "UID"))
        for said in item if isinstance(item, list) else [item]:
            yield part, text_of(said, *names) if isinstance(said, dict) else "", said
    elif key == "BLEDevices" and isinstance(item, dict):
        for name, said in item.items():
            if isinstance(said, dict):
                yield key, text_of(said, "mac", "MAC") or name, said
    elif isinstance(item, dict):
        mac = item.get("mac") or item.get("MAC")
        if isinstance(mac, str) and _MAC.fullmatch(mac) and key != "BLEOperation":
            yield "BLE", mac, {"name": key, **item}


def _message(payload: Payload, gateway: str, child: Child, around: Mapping[str, Any]) -> Message:
    part, key, said = child
    if not isinstance(said, dict):
        raise Rejected("bad_shape", f"{part}: {short(key)} is no object")
    named = text_of(said, "Name")
    radio = _MAC.fullmatch(key) is not None
    device = mac_name(key) if radio else device_name(named or key) if named or key else ""
    if not device:
        raise Rejected("missing_device", f"{part}: there is no name or address of a device")
    kind = "description" if part == "ZbInfo" or _describes(said) else "telemetry"
    draft = Draft(payload, device, kind)
    put_all(draft, said, {**around, **said})
    rssi = next((found for name in ("RSSI", "rssi", "r") if (found := as_rssi(said.get(name))) is not None), None)
    draft.heard_by = [Heard(gateway, rssi, as_float(said.get("SNR")))]
    if rssi is not None:
        draft.fields["rssi"] = draft.fields.pop("RSSI", rssi)
    draft.fields.pop("r", None)
    percent = as_float(said.get("BatteryPercentage", said.get("Battery") if not part.startswith("Lw") else None))
    if percent is not None and 0 <= percent <= 100:
        draft.fields.pop("Battery", None)
        draft.fields["battery"] = percent
    if kind == "description":
        for theirs, ours in _ABOUT.items():
            text = text_of(said, theirs)
            draft.put(ours, text)
    draft.at = instant_of(around)
    return draft.message()


def _describes(said: Mapping[str, Any]) -> bool:
    """True if it says what the device is and nothing that it measured."""
    return ("ModelId" in said or "Manufacturer" in said) and _SAID.issuperset(said)
