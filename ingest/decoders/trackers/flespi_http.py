"""flespi: a gateway for hundreds of tracker protocols, which posts what they said in one JSON form.

`POST /ingest?decoder=flespi_http` with a list of messages (a stream of type HTTP), or one of them. The device is
`ident`.

    [{"ident": "605630", "timestamp": 1506956075, "position.latitude": 53.9, "position.longitude": 27.4, "din": 3}]

Out: one message for each: the position where both coordinates are there, all parameters by flespi's own names
(`battery.level` also as `battery`); `position.valid` false keeps the position, as flespi's parameter says that it is
the last known one, with a note.

Format: flespi's knowledge base, message parameters and HTTP streams.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import Draft
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NESTED, NUMBERS
from ingest.decoders.trackers.reading import each, read_json

_HANDLED = {"ident", "timestamp", "position.latitude", "position.longitude", "position.altitude"}
_TEXTS = {"ibutton.code", "vehicle.vin", "device.name", "device.imei", "gsm.sim.iccid", "gsm.sim.imsi"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each element; raises `Rejected`."""
    value = read_json(payload.data)
    items: list[Any] = value if isinstance(value, list) else [value]
    return each(items, lambda item: _read(payload, item))


def _read(payload: Payload, values: Mapping[str, Any]) -> Sequence[Message]:
    ident = values.get("ident")
    draft = Draft(payload, device_name(str(ident)) if isinstance(ident, str | int) and ident != "" else "")
    draft.at = seconds(values.get("timestamp"))
    fields = draft.fields
    for name, value in values.items():
        if name in _HANDLED:
            continue
        if value.__class__ is bool or value.__class__ is float:  # nearly all of its many are; JSON has no NaN
            fields[name] = value
        elif isinstance(value, NESTED):
            draft.tree(value, name)
        elif name in _TEXTS and isinstance(value, NUMBERS):
            draft.put(name, str(value))
        else:
            draft.put(name, value)
    level = values.get("battery.level")
    if isinstance(level, NUMBERS):
        draft.put("battery", level)
    draft.place(values.get("position.latitude"), values.get("position.longitude"), values.get("position.altitude"))
    if values.get("position.valid") is False and draft.position is not None:
        draft.note("position", "flespi says that it is not valid: the last one known")
    return draft.messages()
