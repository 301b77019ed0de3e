"""Shelly's `/status` of the first generation, its report URLs, and values that are none, for both generations.

In: a JSON object; names and values of a query. Out: a message with the JSON's names, `rssi` and `battery` beside them.
"""

from collections.abc import Mapping
from typing import Any

from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.values import bare, fill, text_of
from ingest.decoders.naming import device_name, mac_name

_BATTERY = ("bat.value", "bat", "battery", "devicepower:0.battery.percent")
_SIGNAL = ("wifi_sta.rssi", "wifi.rssi")
_SENTINELS = frozenset({999, -999, -1})
_MINUS_ONE = frozenset({"battery", "lux", "pos", "current_pos"})


def status(payload: Payload, value: Mapping[str, Any]) -> list[Message]:
    """The whole state of a device. What `is_valid` says is not valid is left out, with a note."""
    mac = text_of(value, "mac")
    draft = Draft(payload, payload.source.device or (mac_name(mac) if mac else ""))
    draft.at = instant(value.get("unixtime"))
    fill(draft, value)
    _drop_invalid(draft)
    reading = value.get("tmp")
    if isinstance(reading, dict) and reading.get("units") == "F":
        own = as_float(reading.get("value"))
        if own is not None and "tmp.value" in draft.fields:
            draft.fields["tmp.value"] = round((own - 32) / 1.8, 6)
            draft.texts["tmp.units"] = "C"
    tidy(draft)
    return draft.messages()


def report(payload: Payload, found: Mapping[str, str]) -> list[Message]:
    """A report URL or action: `?hum=50&temp=21.5&id=shellyht-1`."""
    own = found.get("id", "")
    draft = Draft(payload, payload.source.device or (device_name(own) if own else ""))
    for name, text in found.items():
        if name not in {"id", "decoder"}:
            draft.put(name, bare(text))
    tidy(draft)
    return draft.messages()


def tidy(draft: Draft) -> None:
    """`rssi` and `battery` where they are looked for; no degrees Fahrenheit beside Celsius; sentinels are notes."""
    fields = draft.fields
    for name, value in [*fields.items()]:
        if value in _SENTINELS:
            _drop_sentinel(draft, name)
        elif name[-3:] == ".tF" and f"{name[:-2]}tC" in fields:
            del fields[name]
    for source in _SIGNAL:
        if source in fields and fields[source] < 0:
            fields["rssi"] = fields[source]
    for source in _BATTERY:
        if source in fields and 0 <= fields[source] <= 100:
            fields["battery"] = fields[source]
            break


def _drop_sentinel(draft: Draft, name: str) -> None:
    if draft.fields[name] == -1:
        if name.rpartition(".")[2] in _MINUS_ONE:
            del draft.fields[name]
            draft.note(name, "-1: not known")
    elif "temp" in name or "hum" in name or name == "tmp.value":
        draft.note(name, f"{draft.fields.pop(name)}: no sensor")


def _drop_invalid(draft: Draft) -> None:
    fields = draft.fields
    gone = {name[:-9] for name, value in fields.items() if value is False and name.endswith(".is_valid")}
    if gone:
        for name in [name for name in fields if name.rpartition(".")[0] in gone]:
            if not isinstance(fields[name], bool):
                del fields[name]
        for name in gone:
            draft.note(name, "is_valid is false: no reading")
