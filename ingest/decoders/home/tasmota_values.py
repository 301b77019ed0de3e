"""Tasmota's values: times, durations, relays' states, and units that a setting chose.

In: a JSON object. Out: a draft with its values: °C, hPa, m/s or km/h, seconds, booleans for relays.
"""

import re
from collections.abc import Mapping
from typing import Any

from ingest.decoders.clocks import instant, seconds
from ingest.decoders.draft import Draft, numeric
from ingest.decoders.home.values import decimal, fill
from ingest.decoders.parts import NUMBERS

_UPTIME = re.compile(r"(?:(\d{1,6})[T ])?(\d{1,3}):(\d{2}):(\d{2})")
_IDS = frozenset(
    (
        "Id",
        "UID",
        "ID",
        "Data",
        "DATA",
        "Device",
        "IEEEAddr",
        "ShortAddr",
        "Name",
        "Version",
        "Topic",
        "FriendlyName",
        "SSId",
        "BSSId",
        "Hostname",
        "Color",
        "ADCO",
        "ADSC",
        "DataLSB",
        "RawData",
        "Meter_Number",
        "Meter_id",
        "Serial",
        "Equipment",
        "MAC",
        "mac",
        "NAME",
        "MAJOR",
        "MINOR",
        "Command",
        "Days",
    )
)
_TEMPERATURES = re.compile(
    r"(?:Temperature|DewPoint|Dewpoint|HeatIndex|OBJTMP|AMBTMP|Temp|ColdJunction|FlowTemp|SetPoint)\d*", re.ASCII
)
_PRESSURES = re.compile(r"(?:Pressure|SeaPressure|SeaLevel|QNH|PressureSea)\d*", re.ASCII)
_TO_HPA = {"mmHg": 1.333223874, "inHg": 33.86388667, "kPa": 10.0, "Pa": 0.01}
_TO_METRES_A_SECOND = {"kn": 0.514444444, "mph": 0.44704, "ft/s": 0.3048, "yd/s": 0.9144}
_TRUTH = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}
_SENTINELS = frozenset({-127, 327.67, -327.68, 655.35, -273.15})
_UNITS = frozenset({"TempUnit", "PressureUnit", "SpeedUnit"})


def instant_of(value: Mapping[str, Any]) -> int | None:
    """`Epoch`, else `Time`, whose date was written with dots before version 6."""
    if "Epoch" in value:
        return seconds(value["Epoch"])
    text = value.get("Time")
    if not isinstance(text, str):
        return None
    return instant(text.replace(".", "-", 2) if text[4:5] == "." else text)


def truth(name: str, value: Any) -> bool | None:
    """`POWER`, `POWER1` … as a boolean; None for other names and for texts that StateText has made of it."""
    if name[:5] == "POWER" and (len(name) == 5 or name[5:].isdigit()) and isinstance(value, str | int):
        return _TRUTH.get(str(value).casefold())
    return None


def duration(text: Any) -> int | None:
    """`9T09:29:01` or `1 02:33:26`: days, hours, minutes, seconds → seconds."""
    found = _UPTIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    days, hours, minutes, rest = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def put_all(draft: Draft, own: Mapping[str, Any], around: Mapping[str, Any]) -> None:
    """Everything in `own`; `around` has the units, which stand once for the whole payload."""
    fill(draft, own)
    fields, texts = draft.fields, draft.texts
    clock = texts.get("Time", "")
    if "-" in clock[4:] or "." in clock:  # else it is the hour of a timer
        del texts["Time"]
    fields.pop("Epoch", None)
    if texts:
        _read_texts(draft)
    signal = fields.get("Wifi.Signal", fields.get("Signal (dBm)"))
    if signal is not None and signal < 0:
        fields["rssi"] = signal
    if not _SENTINELS.isdisjoint(fields.values()):
        _drop_sentinels(draft)
    if not _UNITS.isdisjoint(around):
        convert(draft, around)


def _read_texts(draft: Draft) -> None:
    """Relays' states, durations, and numbers that came as texts."""
    texts, fields = draft.texts, draft.fields
    for name, text in [*texts.items()]:
        found: bool | float | None = None
        if name[:5] == "POWER":
            found = truth(name, text)
        elif not text[-1].isdigit():
            continue
        elif ":" in text:
            found = duration(text) if name.endswith(("Uptime", "Downtime")) else None
        elif name.rpartition(".")[2] not in _IDS:
            found = decimal(text)
        if found is not None:
            del texts[name]
            fields[name] = found


def convert(draft: Draft, around: Mapping[str, Any]) -> None:
    """Values in another unit than ours into ours, and the text that names the unit with them."""
    if around.get("TempUnit") == "F":
        _scale(draft, _TEMPERATURES, 1 / 1.8, -32)
        draft.texts["TempUnit"] = "C"
    factor = _TO_HPA.get(str(around.get("PressureUnit")))
    if factor is not None:
        _scale(draft, _PRESSURES, factor)
        draft.texts["PressureUnit"] = "hPa"
    slower = _TO_METRES_A_SECOND.get(str(around.get("SpeedUnit")))
    if slower is not None:
        for name, value in draft.fields.items():
            if "Speed" in name and "FanSpeed" not in name and not isinstance(value, bool):
                draft.fields[name] = round(value * slower, 6)
        draft.texts["SpeedUnit"] = "m/s"


def _scale(draft: Draft, names: re.Pattern[str], factor: float, shift: float = 0) -> None:
    """Values of these names, and the elements of their arrays (`MLX90640.Temperature.0`)."""
    for name, value in draft.fields.items():
        parts = name.rsplit(".", 2)
        last = parts[-2] if parts[-1].isdigit() and len(parts) > 1 else parts[-1]
        if names.fullmatch(last) and not isinstance(value, bool):
            draft.fields[name] = round((value + shift) * factor, 6)


def _drop_sentinels(draft: Draft) -> None:
    for name, value in [*draft.fields.items()]:
        if value in _SENTINELS and "Temperature" in name:
            del draft.fields[name]
            draft.note(name, f"{value}: the sensor is not connected or has no reading")


def as_rssi(value: Any) -> float | None:
    """A signal in dBm, or None."""
    if isinstance(value, str):
        value = numeric(value)
    return float(value) if isinstance(value, NUMBERS) and not isinstance(value, bool) and value < 0 else None
