"""What a decoder is to the rest: a device family with its name, its topics, and how its payloads are known.

In: nothing. Out: `Family`, one row of the catalogue.
"""

from collections.abc import Callable
from typing import NamedTuple

from ingest.contract import Decoder


class Family(NamedTuple):
    """A device family. Chosen by its name in the request, else by topic, else by the device's model, else by content.

    `topics`: patterns (`ingest.decoders.patterns`). `models`: names of models whose devices speak it. `recognises`:
    true for bytes that are surely this family's; it sees what every sender sends, so it must be quick. `title`: what
    people call it. `aliases`: other names it is asked for by. `names_itself`: its messages say which decoder made them.
    """

    name: str
    decode: Decoder
    topics: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    recognises: Callable[[bytes], bool] | None = None
    title: str = ""
    aliases: tuple[str, ...] = ()
    names_itself: bool = False
