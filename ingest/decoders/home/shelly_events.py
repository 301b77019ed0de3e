"""Events of Shelly's second generation: buttons, and what scripts heard over Bluetooth.

In: the params of `NotifyEvent`. Out: a message for each event; BLU devices are devices of their own, heard by the
Shelly. `{"component":"input:0","id":0,"event":"single_push","ts":1736604020.06}` → texts `component`, `event`.
"""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.heard import say, tag
from ingest.decoders.ble.reading import Key
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.values import fill, text_of
from ingest.decoders.naming import mac_name
from ingest.decoders.parts import short

_MOST = 256


def events(payload: Payload, device: str, params: Mapping[str, Any]) -> list[Message | Rejected]:
    """One message an event; one that cannot be read does not end the others."""
    found = params.get("events")
    if not isinstance(found, list):
        raise Rejected("bad_shape", "`events` of NotifyEvent is an array")
    made: list[Message | Rejected] = []
    for event in found[:_MOST]:
        try:
            made += _event(payload, device, event, params.get("ts"))
        except Rejected as error:
            made.append(error)
    return [*made, *_too_many(found)]


def _event(payload: Payload, device: str, event: Any, ts: Any) -> list[Message | Rejected]:
    if not isinstance(event, dict):
        raise Rejected("bad_shape", f"an event is a JSON object, this is {short(str(event))}")
    data = event.get("data")
    at = instant(event.get("ts", ts))
    if isinstance(data, dict) and isinstance(data.get("address"), str):
        return [_heard(payload, device, data, at)]
    if event.get("event") == "ble.scan_result" and isinstance(data, list):
        return _scanned(payload, device, data, at)
    draft = Draft(payload, device, "event")
    draft.at = at
    fill(draft, {name: item for name, item in event.items() if name not in {"ts", "id"}})
    return [*draft.messages()]


def _heard(payload: Payload, device: str, data: Mapping[str, Any], at: int | None) -> Message:
    """A BLU device (BTHome), decoded by the script that heard it. `pid` begins anew after 255: no `seq`."""
    if data.get("encryption") is True and not ({"battery", "temperature", "button", "motion"} & data.keys()):
        raise Rejected(
            "encrypted", f"what {short(text_of(data, 'address'))} says is encrypted; give the script its key"
        )
    gateway = Draft(payload, device).device
    pressed = isinstance(data.get("button"), int) and data["button"] != 0
    draft = Draft(payload, mac_name(text_of(data, "address")), "event" if pressed else "telemetry")
    draft.at = at
    rssi = as_float(data.get("rssi"))
    draft.heard_by = [Heard(gateway, rssi)]
    said = {"address", "encryption", "BTHome_version"}
    fill(draft, {name: item for name, item in data.items() if name not in said})
    return draft.message()


def _scanned(payload: Payload, device: str, data: list[Any], at: int | None) -> list[Message | Rejected]:
    """`[version, [[address, rssi, advertisement, scan response], …]]`, the last two in base 64."""
    found = data[1] if len(data) == 2 and isinstance(data[1], list) else [data[1:]]
    gateway, key = Draft(payload, device).device, keys_of(payload)
    made: list[Message | Rejected] = []
    for one in found[:_MOST]:
        try:
            made.append(_scan(payload, gateway, one, key, at))
        except Rejected as error:
            made.append(error)
    return [*made, *_too_many(found)]


def _scan(payload: Payload, gateway: str, one: Any, key: Key, at: int | None) -> Message:
    """One advert, read as the makers write theirs."""
    if not isinstance(one, list) or len(one) < 2 or not isinstance(one[0], str):
        raise Rejected("bad_shape", "a scan result is an array of address, rssi and advertisement")
    draft = tag(payload, gateway, one[0], one[1])
    draft.at = at
    try:
        advert = b"".join(b64decode(part, validate=True) for part in one[2:4] if isinstance(part, str))
    except ValueError:
        raise Rejected("bad_value", "an advertisement is in base 64") from None
    say(draft, advert, key)
    return draft.message()


def _too_many(found: list[Any]) -> list[Rejected]:
    left = len(found) - _MOST
    return [Rejected("too_large", f"{left} more than {_MOST} in one payload are left out")] if left > 0 else []
