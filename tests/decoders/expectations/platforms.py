"""What the samples of the group `platforms` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation, Expected
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


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {
    "sparkplug_b": sparkplug_b,
}
