"""What the samples of BTHome and Ruuvi expect, and those of gateways that print it. In: a sample. Out: an `Expectation`."""

import re

from tests.decoders.compare import Expectation, Expected
from tests.decoders.samples import Sample

_EVENT = re.compile(r"event_(?P<device>button|dimmer)_(?P<what>[a-z_]+?)(?:_(?P<steps>\d+)_steps)?$")
_TWO_ADVERTS = {"test_increasing_packet_id", "test_identical_packet_id"}
"""The sample has the bytes of one advert, and what is expected once a second one has come."""


def bthome(sample: Sample) -> Expectation | None:
    """The sensors that bthome-ble's test asserts; presses by the test's name. Its signal strength is not in the bytes."""
    case = sample.raw["case"]
    if "wrong_object_id" in case:
        return Expectation(refused=True)
    found = _EVENT.search(case)
    if found is not None:
        values = [Expected((found["device"],), found["what"])]
        steps = [] if found["steps"] is None else [Expected(("steps",), _steps(found))]
        return Expectation([*values, *steps])
    values, seen = list[Expected](), set[str]()
    for sensor in sample.expected["sensors"]:
        name, value = sensor["name"], sensor["value"]
        if name in seen and not name.startswith("Packet"):  # what a second advert of the same test says
            continue
        first = name not in seen
        seen.add(name)
        if name == "Signal Strength" or not first or "datetime" in str(value) or case in _TWO_ADVERTS:
            continue
        values.append(Expected((name,), value))
    return Expectation(values) if values else None


def _steps(found: re.Match[str]) -> int:
    return int(found["steps"])
