"""What an agent passes on of its own broker: each line a payload with the topic that it came on, and when.

In: `{"passed_on": 1, "topic": "tele/plug-1/SENSOR", "payload_base64": "eyJ…", "at": 1763700000123, "id": "5f0c…"}`.
Out: what the topic's decoder makes of it, with the agent's time where the device says none, and ids that follow from
the line's: sent again, it is the same.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Sequence

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload, Source
from ingest.decoders.family import Family

NAME = "passed_on"
MARK = b'{"passed_on":'
"""How such a line begins."""


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    passed_on: int
    topic: str
    payload_base64: str
    at: int
    id: str


_decode = msgspec.json.Decoder(_Line).decode


class PassedOn:
    """`source`: the source of a topic; `family`: the family of a source."""

    def __init__(self, source: Callable[[str, str, str], Source], family: Callable[[Source], Family | None]) -> None:
        self._source = source
        self._family = family

    def __call__(self, payload: Payload) -> Sequence[Message | Rejected]:
        try:
            line = _decode(payload.data)
            data = b64decode(line.payload_base64, validate=True)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Error, ValueError) as error:
            raise Rejected("bad_shape", f"no line of an agent: {str(error)[:200]}") from None
        if not 0 <= line.at < 2**53 or not 0 < len(line.id) <= 48:
            raise Rejected("bad_value", "no line of an agent: `at` or `id` is out of bounds")
        source = self._source(line.topic, payload.source.peer, payload.source.transport)
        family = self._family(source)
        if family is None or family.name == NAME:
            raise Rejected("no_decoder", "an agent passes on what topics have a decoder for")
        made = family.decode(payload._replace(data=data, source=source))
        for n, message in enumerate(made):
            if isinstance(message, Message):
                message.decoder = family.name
                if message.at is None:
                    message.at = line.at * 1000
                if not message.id:
                    message.id = line.id if len(made) == 1 else f"{line.id}.{n}"
        return made
