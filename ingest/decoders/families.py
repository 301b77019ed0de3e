"""The table of all built-in families, in the order in which patterns and contents are tried.

In: the groups' tables. Out: `FAMILIES`; a `Catalogue` of them.
"""

from collections.abc import Mapping, Sequence

from ingest.decoders.ble import BLE
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.family import Family
from ingest.decoders.home import ANYWHERE, HOME
from ingest.decoders.lorawan import LORAWAN
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.trackers import TRACKERS

FAMILIES: tuple[Family, ...] = (*HOME, *BLE, *LORAWAN, *TRACKERS, *PLATFORMS, *ANYWHERE)


def built_in(topics: Mapping[str, Sequence[str]] | None = None) -> Catalogue:
    """A catalogue of the built-in families. `topics`: patterns by family that stand instead of its own."""
    return Catalogue(FAMILIES, topics)
