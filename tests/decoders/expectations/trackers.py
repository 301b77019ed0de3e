"""What the samples of the group `trackers` expect. In: a sample. Out: an `Expectation`.

They are Traccar's test cases: `verifyPosition(s)`: a position comes out, and where the case prints numbers, those;
`verifyNull`: nothing does; `verifyAttribute(s)`: values do. Where it prints none, those that the payload itself has in
plain sight are compared. Of the families here, what reaches only Traccar's TCP ports is not expected to be read.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from tests.decoders.compare import Expectation, Expected, Value, flat
from tests.decoders.samples import Sample

_LATITUDE = re.compile(r"lat(itude)?$", re.IGNORECASE)
_LONGITUDE = re.compile(r"(lon|lng|long|longitude)$", re.IGNORECASE)
_JAVA = re.compile(r"(-?\d+(?:\.\d+)?)[LlFfDd]?")
_KEYS = {
    "KEY_ALARM": ("alarm",),
    "KEY_EVENT": ("event",),
    "KEY_BATTERY_LEVEL": ("battery",),
    "KEY_BATTERY": ("voltage", "battery_voltage"),
    "KEY_POWER": ("external_voltage",),
    "KEY_IGNITION": ("ignition", "ign"),
    "KEY_MOTION": ("motion", "moving", "is_moving"),
    "KEY_RSSI": ("rssi",),
    "KEY_INDEX": ("seq",),
    "KEY_ODOMETER": ("odometer",),
    "KEY_SATELLITES": ("satellites",),
}
_PLAIN_SIGHT = ("temperature", "rssi", "moving", "reason", "inputs", "outputs", "status", "din", "batt", "soc", "tid")


def _traccar(sample: Sample) -> Expectation | None:
    if sample.transport not in {"http", "mqtt"}:
        return None
    expected: Mapping[str, Any] = sample.expected
    if "error" in expected:
        return Expectation(refused=True)
    kind = expected["traccar_assert"]
    if kind == "verifyNull":
        return Expectation(refused=True)
    values = [Expected(_names(key), _java(text)) for key, text in expected.get("attribute", {}).items()]
    values += [Expected((key,), value) for key, value in flat(expected.get("position", {}))]
    values += _place(sample)
    values += [
        Expected((name.rpartition(".")[2],), value)
        for name, value in flat(_scalars(sample))
        if name.lower().rpartition(".")[2] in _PLAIN_SIGHT and value not in {"null", ""}
    ]
    placed = kind == "verifyPosition"
    return Expectation(values or [Expected(("kind",), "telemetry")], placed=placed)


def _scalars(sample: Sample) -> Any:
    """The payload as its sender would read it: an object, or the parameters of a query."""
    text = sample.data.decode("latin-1")
    if text.startswith(("{", "[")):
        return json.loads(sample.data)
    return {name: found[-1] for name, found in parse_qs(text).items()} if "&" in text else {}


def _place(sample: Sample) -> list[Expected]:
    """Latitude and longitude in the payload, unless they are a base station's (Sigfox with data) or blank."""
    scalars = _scalars(sample)
    if isinstance(scalars, dict) and "data" in scalars:
        return []
    found: list[Expected] = []
    for pattern, name in ((_LATITUDE, "latitude"), (_LONGITUDE, "longitude")):
        values: list[Value] = [value for key, value in flat(scalars) if pattern.search(key) and "mock" not in key]
        numbers = [value for value in values if re.fullmatch(r"-?\d+(\.\d+)?", str(value))]
        found += [Expected((name,), value) for value in numbers]
    return found


def _names(key: str) -> tuple[str, ...]:
    """`"device_integer_twelve_test"` is a name; `Position.KEY_ALARM` one of Traccar's constants."""
    if key.startswith('"'):
        return (key.strip('"'),)
    constant = key.removeprefix("Position.")
    return _KEYS.get(constant, (constant.removeprefix("KEY_").lower(),))


def _java(text: Any) -> Value:
    """`12L` → 12; `Position.ALARM_SOS` → sos."""
    if not isinstance(text, str):
        return text
    number = _JAVA.fullmatch(text)
    if number is not None:
        return float(number[1])
    return text.strip('"').removeprefix("Position.ALARM_").lower()


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = dict.fromkeys(
    (
        "owntracks",
        "owntracks_greenwich",
        "osmand_http",
        "sigfox_callback",
        "flespi_http",
        "dmt_http_json",
        "globalstar_http_xml",
        "iotm_mqtt",
        "tracker_misc",
    ),
    _traccar,
)
