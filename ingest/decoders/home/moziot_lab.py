"""The sensor nodes of a Mozilla IoT laboratory, as published with its simulator of devices.

Topics: `temp-hum-readings`, `motion-readings`, `lux-readings`, `noise-readings`, `gas-mq9-readings` and any other
`NAME-readings`; and Tasmota plugs with a device of their own in the JSON (`sonoff/tele/NAME/STATE`).

Out: `{"node-id":"sensor-node-1","sensor":"dht22","temp-C":19.7,"hum-percent":35,"timestamp":1585674203}` → device
`sensor-node-1`, the names as they are, the time from `timestamp`; `motion-bool` and `noise-bool` are booleans.

Format: the recorded data in github.com/diogotorres97/devices-iot-simulator.
"""

from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.explain import parse
from ingest.decoders.home import tasmota
from ingest.decoders.home.values import fill, text_of
from ingest.decoders.naming import device_name

TOPICS = ("*-readings",)
_OWN = frozenset({"node-id", "deviceId", "timestamp"})


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A reading, or what a plug says."""
    if not payload.data.strip():
        return ()
    value = parse(payload.data)
    own = text_of(value, "node-id", "deviceId")
    if not own and ("Wifi" in value or "Time" in value):
        return tasmota.decode(payload)
    draft = Draft(payload, device_name(own) if own else "")
    draft.at = instant(value.get("timestamp"))
    fill(draft, {name: item for name, item in value.items() if name not in _OWN})
    for name, item in draft.fields.items():
        if (name.endswith("-bool") or name == "power") and item in {0, 1}:
            draft.fields[name] = item == 1
    if not draft.fields:
        raise Rejected("no_fields", "there is no reading in it")
    return draft.messages()
