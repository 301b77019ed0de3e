"""What the samples of BTHome and Ruuvi expect, and those of gateways that print it. In: a sample. Out: an `Expectation`."""

import re

from tests.decoders.compare import Expectation, Expected, flat
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


_NUMBER = re.compile(r"-?\d[\d ]*(?:\.\d+)?")
_RUUVI_NAMES = {
    "PM 10.0": ("PM 10.0", "pm10"),
    "PM 1.0": ("PM 1.0", "pm1"),
    "Luminosity": ("Luminosity", "illuminance"),
}
_RUUVI_MOST = {
    "Temperature": 163.835,
    "Pressure": 115534,
    "Humidity": 100,
    "PM 1.0": 1000,
    "PM 2.5": 1000,
    "PM 4.0": 1000,
    "PM 10.0": 1000,
    "CO2": 40000,
    "VOC": 500,
    "NOX": 500,
    "Luminosity": {"06": 65535, "E1": 144284},
}
_BEHIND_THE_CUT = {"Measurement Sequence", "Flags", "MAC"}


def ruuvi_tag(sample: Sample) -> Expectation | None:
    """The tables of Ruuvi's documents, NaN as our note of it.

    The samples of formats 6 and E1 end at the first reserved byte, which the document prints as XX, so what comes after
    it is not there to compare; and those of their greatest values carry the table of the smallest, which stands after
    it in the document: the right one is above.
    """
    table = dict(sample.expected)
    kind = table.pop("Data format")
    cut = kind in {"06", "E1"}
    values = [Expected(("Data format",), kind)]
    for name, text in table.items():
        names = _RUUVI_NAMES.get(name, (name,))
        if cut and name in _BEHIND_THE_CUT:
            continue
        if cut and sample.raw["case"] == "maximum values":
            most = _RUUVI_MOST[name]
            values.append(Expected(names, most[kind] if isinstance(most, dict) else most))
        elif text.strip("`").lower().startswith("nan"):
            values.append(Expected(tuple(f"note.{one}" for one in names), "not available"))
        elif name == "MAC":
            values.append(Expected(names, text.replace(" ", "")))
        else:
            number = _NUMBER.search(text)
            assert number is not None, text
            values.append(Expected(names, float(number[0].replace(" ", ""))))
    return Expectation(values)


def minew_gateway(sample: Sample) -> Expectation:
    """Every transmitter and receiver of barnowl-minew's raddecs, with the signal strength of the loudest packet."""
    values = list[Expected]()
    for raddec in sample.expected:
        values.append(Expected(("device",), raddec["transmitterId"]))
        for receiver in raddec["rssiSignature"]:
            values += [Expected(("gateway",), receiver["receiverId"]), Expected(("rssi",), receiver["rssi"])]
    return Expectation(values)


def reelyactive(sample: Sample) -> Expectation:
    """Everything that advlib's test asserts; floats as JavaScript prints them."""
    return Expectation([Expected((name,), value) for name, value in flat(sample.expected)])
