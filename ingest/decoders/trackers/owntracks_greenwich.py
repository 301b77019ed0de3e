"""OwnTracks Greenwich: trackers for vehicles that speak OwnTracks, with topics of their own for inputs and voltages.

Topics below `owntracks/FLEET/VEHICLE` (the device is `FLEET:VEHICLE`); locations on that topic itself and on
`…/alarm` are read as OwnTracks' own, with `batt` in volts.

    owntracks/acme/van17/gpio/3 0

| topic | what comes out |
| --- | --- |
| `gpio/N` | field `gpio.N`: 0 or 1 |
| `voltage/batt`, `voltage/ext` | fields `voltage.batt`, `voltage.ext` (V) |
| `status` | a status: `1` online, `0` and `-1` offline |
| `start` | a description: `imei`, `firmware`, and when |
| `cmd/out` | an event: the answer to a command, `NUMSAT=10` as a field of that name, anything else as the text `out` |
| `cmd` | a command |

Format: Greenwich's manual, chapters MQTT payloads and GPIO.
"""

from collections.abc import Sequence

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
    "#/owntracks/{device#}/cmd/out",
    "#/owntracks/{device#}/start",
    "#/owntracks/{device#}/alarm",
    "#/owntracks/{device#}/operators",
)
_BELOW = {"gpio", "voltage", "cmd", "start", "alarm", "status", "operators"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message; raises `Rejected`."""
    data = payload.data.strip()
    if not data or data[:1] in b"{[":
        return owntracks.decode(payload)
    place, text = payload.source.topic.split("/")[-2:], data.decode("utf-8", "replace")
    match place:
        case ["gpio" | "voltage", _]:
            return _reading(payload, ".".join(place), text)
        case ["cmd", "out"]:
            return _answer(payload, text)
        case [_, "start"]:
            return _start(payload, text)
        case [_, "operators"]:
            draft = _begin(payload, "event")
            draft.put("operators", text)
            return (draft.message(),)
        case _:
            return owntracks.decode(payload)


def _begin(payload: Payload, kind: str) -> Draft:
    source = payload.source
    levels = source.topic.split("/")
    device = source.device
    if not device and len(levels) > 2:
        start = levels.index("owntracks") + 1 if "owntracks" in levels else 0
        end = next((at for at, level in enumerate(levels) if at > start and level in _BELOW), len(levels))
        device = device_name("/".join(levels[start:end]))
    return Draft(payload, device, kind)


def _reading(payload: Payload, name: str, text: str) -> Sequence[Message]:
    value = numeric(text)
    if value is None:
        raise Rejected("bad_value", f"{short(name)} is a number, this is {short(text)}")
    draft = _begin(payload, "telemetry")
    draft.put(name, value)
    return (draft.message(),)


def _answer(payload: Payload, text: str) -> Sequence[Message]:
    """`NAME=VALUE`, with a date or a number or a text as the value; or any other answer."""
    draft = _begin(payload, "event")
    name, sign, value = text.partition("=")
    if sign and name and name.isprintable() and " " not in name and len(name) <= 64:
        draft.number(name, value.strip())
        if name == "DATE":
            draft.at = instant(value)
    else:
        draft.put("out", text)
    return (draft.message(),)


def _start(payload: Payload, text: str) -> Sequence[Message]:
    draft = _begin(payload, "description")
    imei, _, rest = text.partition(" ")
    firmware, _, moment = rest.partition(" ")
    draft.put("imei", imei)
    draft.put("firmware", firmware)
    draft.texts["model"] = "Greenwich"
    draft.at = instant(moment) if moment else None
    return (draft.message(),)
