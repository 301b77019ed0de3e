"""Decoding as the ways in do it. In: a topic and bytes. Out: messages and rejections."""

from collections.abc import Sequence

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Context, Payload, Source
from ingest.decoders.families import built_in

RECEIVED = 1_763_700_000_000_000
CATALOGUE = built_in()


def come(topic: str, body: object = b"", context: Context | None = None) -> Sequence[Message | Rejected]:
    """What comes of a payload on a topic, whose family the topic decides. Raises `Rejected`."""
    source = CATALOGUE.source(topic)
    return CATALOGUE.named(source.decoder).decode(_payload(body, source, context))


def post(decoder: str, body: object, device: str = "", query: str = "") -> Sequence[Message | Rejected]:
    """What comes of a payload by HTTP, with the decoder's name. Raises `Rejected`."""
    return CATALOGUE.named(decoder).decode(_payload(body, Source("http", "", device, decoder, query=query), None))


def one(made: Sequence[Message | Rejected]) -> Message:
    """The only thing that came, a message."""
    (message,) = made
    assert isinstance(message, Message), message
    return message


def all_of(made: Sequence[Message | Rejected]) -> list[Message]:
    """Everything that came, without a rejection among it."""
    messages = [message for message in made if isinstance(message, Message)]
    assert len(messages) == len(made), made
    return messages


def refusal(made: Sequence[Message | Rejected] | Rejected) -> str:
    """The reason of the only thing that came."""
    if isinstance(made, Rejected):
        return made.reason
    (rejected,) = made
    assert isinstance(rejected, Rejected), rejected
    return rejected.reason


def _payload(body: object, source: Source, context: Context | None) -> Payload:
    data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return Payload(data, source, RECEIVED, context or CATALOGUE.context)
