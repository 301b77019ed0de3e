"""What the samples of the group `lorawan` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation, Expected, flat
from tests.decoders.influx import Line, read_line
from tests.decoders.lorawan.codecs import path_of
from tests.decoders.samples import Sample


def _codec(sample: Sample) -> Expectation | None:
    """All that the maker's own test asserts. Nothing where the codec is not here to be asked."""
    if path_of(sample) is None:
        return None
    expected = sample.expected
    if expected.get("errors"):
        return Expectation(refused=True)
    # The sources are YAML 1.1, read by whoever made the samples: there a key NO is false.
    values = [
        Expected((name, "NO") if name == "false" else (name,), value)
        for name, value in flat(expected["data"])
        if value != ""
    ]
    if expected.get("warnings"):
        values.append(Expected(("note.codec",), "; ".join(expected["warnings"])))
    return Expectation(values, complete=True)


_CALLED = {
    "AlarmStatus": "ALARM_status",
    "AdcCh0": "ADC_CH0V",
    "DigitalIStatus": "Digital_IStatus",
    "Wind Direction": "Wind Direction Sensor",
    "Rainfall": "Rain Gauge",
}
"""What the source of some expectations calls a value, and what the payload calls it."""


def _things(sample: Sample) -> Expectation | None:
    """Lines of InfluxDB, `lora` about the radio and `telemetry` with a value each; or just that there is a position."""
    expected = sample.expected
    if "influx_lines" in expected:
        return Expectation([one for line in expected["influx_lines"] for one in _of_line(read_line(line))])
    uplink = sample.raw["payload"]["uplink_message"]
    ids = sample.raw["payload"]["end_device_ids"]
    said = [Expected((name,), value) for name, value in flat(uplink["decoded_payload"])]
    places = [
        Expected((name,), value)
        for place in uplink.get("locations", {}).values()
        for name, value in place.items()
        if name in {"latitude", "longitude", "altitude"}
    ]
    return Expectation([Expected(("device",), ids["device_id"]), *said, *places])


def _of_line(line: Line) -> list[Expected]:
    found = [Expected(("device",), line.tags["device"])]
    if line.measurement == "lora":
        found.append(Expected(("gateway",), line.tags["gatewayId"]))
        found.append(Expected(("dev_eui",), line.tags["devEui"]))
        found += [
            Expected((name,), value) for name, value in line.fields.items() if name in {"rssi", "snr", "channelRssi"}
        ]
        found.append(Expected(("consumed_airtime",), float(line.fields["consumedAirtimeUs"]) / 1e6))
        return found
    name = line.tags["field"]
    value = next(iter(line.fields.values()))
    return [*found, Expected((name, _CALLED.get(name, name)), value)]


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {
    "lorawan_codec": _codec,
    "chirpstack_codec": _codec,
    "tts_v3": _things,
}
