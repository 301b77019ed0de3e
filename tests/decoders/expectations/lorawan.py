"""What the samples of the group `lorawan` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation, Expected, flat
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


READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {"lorawan_codec": _codec, "chirpstack_codec": _codec}
