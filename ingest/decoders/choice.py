"""Which decoder reads a payload: the one asked for by name, or that of the topic; else by model, else by content.

In: a source, a payload, the device's model. Out: a family, or `Rejected`.
"""

from headwater.errors import Rejected
from ingest.contract import Source
from ingest.decoders import FAMILIES, Family, native
from ingest.decoders.parts import short

NATIVE = Family("native", native.decode)


def by_source(source: Source) -> Family | None:
    """What the source alone settles; None: the model or the payload has to say.

    A topic has been matched before (`ingest.topics`): one that comes without a decoder has none.
    """
    if source.decoder:
        if source.decoder in {"native", "flat"}:
            return NATIVE
        for family in FAMILIES:
            if family.name == source.decoder:
                return family
        names = ", ".join(["native", *(family.name for family in FAMILIES)])
        raise Rejected("unknown_decoder", f"there is no decoder {short(source.decoder)}; there are: {names}")
    if source.topic:
        raise Rejected("no_decoder", f"no decoder reads the topic {short(source.topic)}; try devices/NAME/telemetry")
    return None if any(family.models or family.recognises for family in FAMILIES) else NATIVE


def by_payload(data: bytes, model: str) -> Family:
    """The family of the device's model, else the first that recognises the bytes, else Headwater's own."""
    for family in FAMILIES:
        if model in family.models:
            return family
    for family in FAMILIES:
        if family.recognises is not None and family.recognises(data):
            return family
    return NATIVE
