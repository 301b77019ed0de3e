"""OwnTracks Greenwich: trackers for vehicles that speak OwnTracks, with topics of their own for inputs and voltages.

Topics below `owntracks/FLEET/VEHICLE` (the device is `FLEET:VEHICLE`); locations on that topic itself and on
`…/alarm` are read as OwnTracks' own, with `batt` in volts.

    owntracks/acme/van17/gpio/3 0

| topic | what comes out |
| --- | --- |
| `gpio/N` | field `gpio.N`: 0 or 1 |
| `voltage/batt`, `voltage/ext`, `temperature/N` | fields `voltage.batt`, `voltage.ext` (V), `temperature.N` (°C) |
| `obd2/ECU/MODE/PID`, `fms/…` | the bytes as a text, and of mode 01 `rpm`, `speed`, `coolant_temperature` … |
| `status` | a status: `1` online, `0` and `-1` offline |
| `start` | a description: `imei`, `firmware`, and when |
| `cmd/out` | an event: the answer to a command, `NUMSAT=10` as a field of that name, anything else as the text `out` |
| `cmd` | a command |
| `operators`, `cellinfo` | an event |

Format: Greenwich's manual, chapters MQTT payloads and GPIO.
"""

from collections.abc import Mapping, Sequence

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, numeric
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.trackers import owntracks

TOPICS = (
    "#/owntracks/{device#}/gpio/+",
    "#/owntracks/{device#}/voltage/+",
    "#/owntracks/{device#}/temperature/+",
    "owntracks/{device#}/obd2/#",
    "owntracks/{device#}/fms/#",
    "#/owntracks/{device#}/cmd/out",
    "#/owntracks/{device#}/start",
    "#/owntracks/{device#}/alarm",
    "#/owntracks/{device#}/operators",
    "#/owntracks/{device#}/cellinfo",
)
_BELOW = {"gpio", "voltage", "temperature", "obd2", "fms", "cmd", "start", "alarm", "status", "operators", "cellinfo"}
_PIDS: Mapping[str, tuple[str, int, float, float]] = {
    "04": ("engine_load", 1, 100 / 255, 0),
    "05": ("coolant_temperature", 1, 1, -40),
    "0b": ("intake_pressure", 1, 10, 0),
    "0c": ("rpm", 2, 0.25, 0),
    "0d": ("speed", 1, 1, 0),
    "0f": ("intake_temperature", 1, 1, -40),
    "10": ("air_flow", 2, 0.01, 0),
    "11": ("throttle", 1, 100 / 255, 0),
    "1f": ("run_time", 2, 1, 0),
    "2f": ("fuel_level", 1, 100 / 255, 0),
    "42": ("control_voltage", 2, 0.001, 0),
    "46": ("ambient_temperature", 1, 1, -40),
}
"""Of OBD-II's mode 01 (SAE J1979): name, bytes, factor, offset; pressure in hPa, speed in km/h, air in g/s."""


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message; raises `Rejected`."""
    data = payload.data.strip()
    if not data or data[:1] in b"{[":
        return owntracks.decode(payload)
    levels, text = payload.source.topic.split("/"), data.decode("utf-8", "replace")
    bus = next((levels.index(name, 1) for name in ("obd2", "fms") if name in levels[1:]), 0)
    draft: Draft | None = None
    match place := levels[-2:]:
        case _ if bus:
            draft = _bus(payload, levels[bus:], text)
        case ["gpio" | "voltage" | "temperature", _]:
            draft = _reading(payload, ".".join(place), text)
        case ["cmd", "out"]:
            draft = _answer(payload, text)
        case [_, "start"]:
            draft = _start(payload, text)
        case [_, "operators" | "cellinfo"]:
            draft = _begin(payload, "event")
            draft.put(place[1], text)
        case _:
            pass
    return owntracks.decode(payload) if draft is None else (draft.message(),)


def _begin(payload: Payload, kind: str) -> Draft:
    source = payload.source
    levels = source.topic.split("/")
    device = source.device
    if not device and len(levels) > 2:
        start = levels.index("owntracks") + 1 if "owntracks" in levels else 0
        end = next((at for at, level in enumerate(levels) if at > start and level in _BELOW), len(levels))
        device = device_name("/".join(levels[start:end]))
    return Draft(payload, device, kind)


def _reading(payload: Payload, name: str, text: str) -> Draft:
    value = numeric(text)
    if value is None:
        raise Rejected("bad_value", f"{short(name)} is a number, this is {short(text)}")
    draft = _begin(payload, "telemetry")
    draft.put(name, value)
    return draft


def _bus(payload: Payload, levels: Sequence[str], text: str) -> Draft:
    """What an engine's computer says: the bytes by their place, and what those that everybody knows mean."""
    draft = _begin(payload, "telemetry")
    draft.put(".".join(levels)[:64], text)
    known = _PIDS.get(levels[3].lower()) if levels[0] == "obd2" and len(levels) == 4 and levels[2] == "01" else None
    if known is not None:
        name, size, factor, offset = known
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raise Rejected("bad_value", f"what OBD-II says is hexadecimal, this is {short(text)}") from None
        if len(raw) == size:
            draft.put(name, round(int.from_bytes(raw, "big") * factor + offset, 3))
    return draft


def _answer(payload: Payload, text: str) -> Draft:
    """`NAME=VALUE`, with a date or a number or a text as the value; or any other answer."""
    draft = _begin(payload, "event")
    name, sign, value = text.partition("=")
    if sign and name and name.isprintable() and " " not in name and len(name) <= 64:
        draft.number(name, value.strip())
        if name == "DATE":
            draft.at = instant(value)
    else:
        draft.put("out", text)
    return draft


def _start(payload: Payload, text: str) -> Draft:
    draft = _begin(payload, "description")
    imei, _, rest = text.partition(" ")
    firmware, _, moment = rest.partition(" ")
    draft.put("imei", imei)
    draft.put("firmware", firmware)
    draft.texts["model"] = "Greenwich"
    draft.at = instant(moment) if moment else None
    return draft
