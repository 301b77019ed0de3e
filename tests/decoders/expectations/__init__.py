"""What each family's samples expect, in one form: the sources say it in a dozen.

In: a sample. Out: an `Expectation`, or None where its source says nothing that could be compared.
"""

from collections.abc import Callable, Mapping

from tests.decoders.compare import Expectation
from tests.decoders.expectations import ble, home, lorawan, platforms, trackers
from tests.decoders.samples import Sample

Reader = Callable[[Sample], Expectation | None]

READERS: Mapping[str, Reader] = {
    **home.READERS,
    **ble.READERS,
    **platforms.READERS,
    **lorawan.READERS,
    **trackers.READERS,
}


def expectation(sample: Sample) -> Expectation | None:
    """What this sample expects."""
    reader = READERS.get(sample.family)
    return None if reader is None or sample.expected is None else reader(sample)
