"""What the samples of the group `lorawan` expect. In: a sample. Out: an `Expectation`."""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation
from tests.decoders.samples import Sample

READERS: Mapping[str, Callable[[Sample], Expectation | None]] = {}
