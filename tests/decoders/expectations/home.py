"""What the samples of the group `home` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping
from datetime import datetime

from ingest.decoders.naming import device_name
from tests.decoders.compare import Expectation, Expected
from tests.decoders.influx import Line, read_line
from tests.decoders.samples import Sample


def influx(sample: Sample) -> Expectation | None:
    """What go-mqtt-to-influx makes of Tasmota and go-iotdevice: points, or none where it cannot read it."""
    if "influx_lines" not in sample.expected:
        return None
    lines = [read_line(line) for line in sample.expected["influx_lines"]]
    return Expectation(tuple(one for line in lines for one in _point(line)), refused=not lines)


def _point(line: Line) -> list[Expected]:
    tags, fields = dict(line.tags), dict(line.fields)
    values = [Expected(("device",), device_name(tags.pop("device")))]
    if line.measurement == "clock":
        moment = datetime.fromisoformat(str(fields["timeValue"]))
        return [*values, Expected(("at",), round(moment.timestamp() * 1_000_000))]
    if line.measurement == "availability":
        return [*values, Expected(("status",), "online" if fields["boolValue"] else "offline")]
    if line.measurement == "wifi":
        return [*values, *(Expected((f"Wifi.{name}", name), value) for name, value in {**tags, **fields}.items())]
    field, sensor, unit = tags["field"], tags["sensor"], tags.get("unit", "")
    names = (field,) if sensor == "tasmota" or "category" in tags else (f"{sensor}.{field}",)
    if unit and "category" in tags:
        values.append(Expected((f"unit.{field}",), unit))
    elif field == "Temperature":
        values.append(Expected(("TempUnit",), unit))
    return [*values, *(Expected(_names(kind, names), value) for kind, value in fields.items())]


def _names(kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """The index of an enumeration stands beside its text."""
    return tuple(f"{name}.Idx" for name in names) if kind == "intValue" else names


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {"tasmota": influx, "go_iotdevice": influx}
