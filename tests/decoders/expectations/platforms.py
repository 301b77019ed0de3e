"""What the samples of the group `platforms` expect. In: a sample. Out: an `Expectation`."""

import re
from collections.abc import Callable, Mapping

from ingest.decoders.clocks import instant
from ingest.decoders.platforms.units import MEASURED
from tests.decoders.compare import Expectation, Expected, Value, equal, flat, plain
from tests.decoders.influx import read_line
from tests.decoders.samples import Sample


def sparkplug_b(sample: Sample) -> Expectation:
    """Names and values of metrics; values that only an alias names are refused, since no birth came before them."""
    said = sample.expected
    metrics = said.get("metrics", [])
    if any(metric["name"] is None for metric in metrics):
        return Expectation(refused=True)
    # An alias that two metrics share (one upstream vector has it) does not matter: both bring their names.
    values = [Expected((metric["name"],), metric["value"]) for metric in metrics]
    death = "NDEATH" in (sample.topic + sample.raw.get("message_type", ""))
    if death:
        values.append(Expected(("status",), "offline"))
        values.append(Expected(("timestamp",), said["timestamp"]))
    else:
        values.append(Expected(("at",), said["timestamp"] * 1000))
        if "seq" in said:
            values.append(Expected(("seq",), said["seq"]))
    return Expectation(values)


def influx_line_protocol(sample: Sample) -> Expectation | None:
    """How many points it has, or that it is none; and of a payload of one field, that field."""
    if sample.expected["error"]:
        return Expectation(refused=True)
    values = [Expected(("count of messages",), sample.expected["n_metrics"])]
    head, sign, value = sample.data.decode().rpartition("=")
    if sign:
        name = re.split(r"(?<!\\)[ ,]", head)[-1]
        # A text's quotes and escapes, or a number's unit and the time after it.
        bare = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value.split()[0].rstrip("iu")
        values.append(Expected((name,), bare))
    return Expectation(values)


def telegraf_json(sample: Sample) -> Expectation | None:
    """Fields and tags of the lines that Telegraf makes of it with a configuration that we do not have.

    A name that stands in the payload is compared by name. What the configuration has renamed is compared by the name
    that the payload has for it, if its value stands there once or more. Lines of other files of the same case, tests'
    own clocks, and what the configuration makes a text of a whole object, say nothing of this payload.
    """
    scalars = flat(sample.raw["payload"])
    values: list[Expected] = []
    for text in sample.expected["influx_lines"]:
        line = read_line(text)
        named = {**line.tags, **line.fields}
        if {"name", "timestamp"} <= named.keys():  # Telegraf's own: the name is a part of ours, the timestamp is `at`
            del named["name"]
            values.append(Expected(("at",), int(named.pop("timestamp")) * 1_000_000))
        sources = {name: _sources(name, value, scalars) for name, value in named.items()}
        if not any(sources.values()):
            continue
        values += [Expected(names, named[name]) for name, names in sources.items() if names]
        # Of times deeper down only a configuration says that they are the time.
        times = [instant(value) for path, value in scalars if "." not in path.lstrip("0123456789.")]
        if line.time is not None and line.time // 1000 in times:
            values.append(Expected(("at",), line.time // 1000))
    return Expectation(values) if values else None


def telegraf_binary(sample: Sample) -> Expectation | None:
    """The lines of a case, as far as they are this file's: a case of three files has a line for each, in their order."""
    lines = sample.expected["influx_lines"]
    letter = re.search(r"message([ABC])\.bin", sample.raw["source"])
    if letter is not None:
        lines = [lines["ABC".index(letter[1])]]
    values: list[Expected] = []
    for text in lines:
        line = read_line(text)
        for name, value in {**line.tags, **line.fields}.items():
            # A 32-bit float is shown by some lines with more digits than it has; a text "unknown" is nothing here.
            if value != "unknown":
                values.append(Expected((name,), value, abs(value) * 1e-7 if isinstance(value, float) else 0.0))
        # The CBOR keys say nothing of a time; that the 260th is one is said by a configuration only.
        if line.time is not None and "cbor" not in sample.raw["case"]:
            values.append(Expected(("at",), line.time // 1000))
    return Expectation(values)


def _sources(name: str, value: Value, scalars: list[tuple[str, Value]]) -> tuple[str, ...]:
    """Names in the payload whose value this is; the same name first, since then only that counts."""
    same = [path for path, found in scalars if equal(value, found)]
    return (name,) if _ends(name, same) else tuple(same)


def _ends(name: str, paths: list[str]) -> bool:
    """Whether a path ends with this name, level by level."""
    levels = [path.split(".") for path in paths]
    return any(plain(".".join(one[start:])) == plain(name) for one in levels for start in range(len(one)))


def senml(sample: Sample) -> Expectation | None:
    """Every resolved record: its name's end or what its unit measures, its value, its time where the payload has one."""
    values: list[Expected] = []
    timed = b'"bt"' in sample.data or "cbor" in sample.path or re.search(rb'"t"\s*:\s*-?0*[1-9]', sample.data)
    for record in sample.expected["resolved"]:
        unit: str = record.get("u", "")
        name = record["n"].rpartition(":")[2]
        names = (record["n"], name, {"%EL": "battery"}.get(unit, unit), MEASURED.get(unit, unit))
        value = next(record[key] for key in ("v", "vs", "vb", "vd") if key in record)
        values.append(Expected(names, value))
        if timed:
            values.append(Expected(("at",), round(record["t"] * 1e6)))
    return Expectation(values)


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {
    "influx_line_protocol": influx_line_protocol,
    "senml": senml,
    "sparkplug_b": sparkplug_b,
    "telegraf_binary": telegraf_binary,
    "telegraf_json": telegraf_json,
}
