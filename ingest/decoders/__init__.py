"""The decoders: one file a device family, one row here. `native` is Headwater's own and stands outside of the table.

In: a payload with its source. Out: messages, or `Rejected`. A decoder is pure: no I/O, no clock, no state, so that the
same one runs live, over the past, and in tests. To add a family: a file with a `decode`, a row in `FAMILIES`.
"""

from collections.abc import Callable
from typing import NamedTuple

from ingest.contract import Decoder


class Family(NamedTuple):
    """A device family. Chosen by its name in the request, else by topic, else by the device's model, else by content.

    `topics`: patterns with `+`, `#` and one `{device}`. `models`: names of models whose devices speak it.
    `recognises`: true for bytes that are surely this family's; it sees what every sender sends, so it must be quick.
    """

    name: str
    decode: Decoder
    topics: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    recognises: Callable[[bytes], bool] | None = None


FAMILIES: tuple[Family, ...] = ()
"""In the order in which patterns and contents are tried."""
