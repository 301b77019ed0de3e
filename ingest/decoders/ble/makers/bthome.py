"""BTHome, the open format for Bluetooth sensors (b-parasite, Shelly BLU, ATC firmware, ESPHome …), versions 1 and 2.

In: service data of 0x181C (1), 0x181E (1, encrypted) or 0xFCD2 (2). Out: a `Reading`; or `Rejected`: encrypted, another
version, nothing known in it. Formats: bthome.io/v1, bthome.io/format, bthome.io/encryption.
"""

import struct

from headwater.errors import Rejected
from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.crypto import open_sealed
from ingest.decoders.ble.makers.bthome_objects import BUTTONS, DIMMERS, OBJECTS, SPECIAL, Form, Object
from ingest.decoders.ble.reading import Key, Reading, Value, Values, backwards

_ENCRYPTED, _HAS_ADDRESS = 1, 2
_TIMESTAMP = 5
"""Version 1's form of it: seconds, unsigned."""
_OTHERS = {
    "mass": "weight",
    "dew_point": "dewpoint",
    "carbon_dioxide": "co2",
    "volatile_organic_compounds": "tvoc",
    "generic": "binary",
    "volume_storage": "water",
    "binary.battery": "battery_low",
    "binary.moisture": "moisture_detected",
    "binary.gas": "gas_detected",
    "binary.power": "switch",
}
"""The names that other makers' adverts have for the same."""


def maker_2(advert: Advert, data: bytes, key: Key) -> Reading | None:
    """Version 2, under the names that all adverts share."""
    return _as_others(version_2(advert.address, data, key))


def maker_1(advert: Advert, data: bytes) -> Reading | None:
    """Version 1, plain, under the names that all adverts share."""
    del advert
    return _as_others(version_1(data))


def maker_1_encrypted(advert: Advert, data: bytes, key: Key) -> Reading | None:
    """Version 1, encrypted, under the names that all adverts share."""
    return _as_others(version_1_encrypted(advert.address, data, key))


def _as_others(own: Reading) -> Reading:
    values: Values = {}
    for name, value in own.values.items():
        values[_OTHERS.get(name, name)] = value
        plain, mark, number = name.rpartition("_")
        if mark and number.isdigit():
            values[_OTHERS.get(plain, plain)] = value  # of several the last, as the others have it
    for name in ("distance", "volume"):
        unit = values.pop(f"unit.{name}", None)
        if unit is not None:
            values[f"{name}_{unit}"] = values.pop(name)
    for name in ("button", "dimmer"):
        event = values.get(name)
        if isinstance(event, str):
            values[name] = event.replace("_", " ")
    return own._replace(values=values)


def version_2(address: str, data: bytes, key: Key) -> Reading:
    """Service data of 0xFCD2. `address`: the sender's, where the data does not name it."""
    if not data:
        raise Rejected("bad_shape", "BTHome's service data is empty")
    about = data[0]
    if about >> 5 != 2:
        raise Rejected("unsupported", f"BTHome of version {about >> 5} is not known, only 1 and 2")
    own, body = "", data[1:]
    if about & _HAS_ADDRESS:
        if len(body) < 6:
            raise Rejected("bad_shape", "the address in BTHome's data is cut short")
        own, body = backwards(body[:6]), body[6:]
    firmware, counter = "BTHome V2", None
    if about & _ENCRYPTED:
        nonce = b"\xd2\xfc" + data[:1]
        body, counter = _opened(own or address, body, key, nonce, None)
        firmware += " (encrypted)"
    values = _named(objects_2(body))
    packet = values.get("packet_id")
    return Reading(firmware, "BTHome", values, packet if isinstance(packet, int) else counter, own)


def version_1(data: bytes) -> Reading:
    """Service data of 0x181C."""
    values = _named(objects_1(data))
    packet = values.get("packet_id")
    return Reading("BTHome V1", "BTHome", values, packet if isinstance(packet, int) else None)


def version_1_encrypted(address: str, data: bytes, key: Key) -> Reading:
    """Service data of 0x181E."""
    body, counter = _opened(address, data, key, b"\x1e\x18", b"\x11")
    own = version_1(body)
    return own._replace(firmware="BTHome V1 (encrypted)", packet=counter if own.packet is None else own.packet)


def _opened(address: str, sealed: bytes, key: Key, middle: bytes, associated: bytes | None) -> tuple[bytes, int]:
    """Plain bytes and counter. The end is the counter (4 bytes) and the tag (4)."""
    if len(sealed) < 10:
        raise Rejected("encrypted", "the encrypted data is cut short: too little for a value, a counter and a tag")
    count, tag = sealed[-8:-4], sealed[-4:]
    plain = open_sealed(address, key, lambda mac: mac + middle + count, sealed[:-8], tag, associated)
    return plain, int.from_bytes(count, "little")


def objects_2(data: bytes) -> list[tuple[str, Value]]:
    """Id and value, one after the other: an id that is not known ends it, since nobody can tell how long it is."""
    found: list[tuple[str, Value]] = []
    at = 0
    while at < len(data):
        kind = OBJECTS.get(data[at])
        if kind is None:
            if not found:
                raise Rejected("unsupported", f"BTHome's object {data[at]:#04x} is not known, nor how long it is")
            found.append(("note.object", f"{data[at]:#04x} is not known; what follows is left out"))
            break
        at += 1
        size = kind.size
        if not size:
            size = data[at] if at < len(data) else 0
            at += 1
        if at + size > len(data):
            if not found:
                raise Rejected("bad_shape", f"BTHome's {kind.name} is cut short")
            found.append(("note.object", f"{kind.name} is cut short"))
            break
        found += _read(kind, data[at : at + size], kind.form)
        at += size
    return found


def objects_1(data: bytes) -> list[tuple[str, Value]]:
    """A byte of form (3 bits) and length (5), an id, and a value. What does not fit together is rejected as a whole."""
    found: list[tuple[str, Value]] = []
    at = 0
    while at < len(data):
        form, length = data[at] >> 5, data[at] & 31
        kind = OBJECTS.get(data[at + 1]) if at + 1 < len(data) else None
        if kind is None or length < 2 or at + 1 + length > len(data) or form > _TIMESTAMP:
            detail = "this is neither BTHome 2 (40 …, 44 …) nor plain BTHome 1; encrypted BTHome 1 needs ?bindkey="
            raise Rejected("bad_shape", detail)
        body = data[at + 2 : at + 1 + length]
        own = kind.form if kind.form in SPECIAL else Form(form) if form < _TIMESTAMP else Form.UNSIGNED
        found += _read(kind, body, own)
        at += 1 + length
    return found


def _read(kind: Object, body: bytes, form: Form) -> list[tuple[str, Value]]:
    """The value of an object: nearly always one."""
    match form:
        case Form.UNSIGNED | Form.SIGNED:
            value = int.from_bytes(body, "little", signed=form is Form.SIGNED)
            found: Value = value if kind.factor == 1 else round(value * kind.factor, kind.decimals)
        case Form.FLOAT:
            found = _float(kind, body)
        case Form.TRUTH:
            found = bool(int.from_bytes(body, "little"))
        case Form.TEXT:
            found = _text(body)
        case Form.RAW:
            found = body.hex()
        case Form.BUTTON:
            return [(kind.name, BUTTONS.get(body[0], "" if body[0] == 0 else f"event {body[0]}"))] if body else []
        case Form.DIMMER:
            return _dimmer(kind, body)
        case Form.VERSION:
            found = ".".join(str(part) for part in reversed(body))
    return [(kind.name, found), (f"unit.{kind.name}", kind.unit)] if kind.unit else [(kind.name, found)]


def _text(body: bytes) -> str | None:
    try:
        return body.decode().rstrip("\0")
    except UnicodeDecodeError:
        return None


def _float(kind: Object, body: bytes) -> Value:
    form = {2: "<e", 4: "<f", 8: "<d"}.get(len(body))
    if form is None:
        raise Rejected("bad_shape", f"BTHome's {kind.name} is a number of {len(body)} bytes")
    value = struct.unpack(form, body)[0] * kind.factor
    return round(value, max(kind.decimals, 2)) if value - value == 0 else None


def _dimmer(kind: Object, body: bytes) -> list[tuple[str, Value]]:
    if not body or not body[0]:
        return [(kind.name, "")]
    steps = int.from_bytes(body[1:2], "little", signed=True)
    return [(kind.name, DIMMERS.get(body[0], f"event {body[0]}")), (f"{kind.name}.steps", steps)]


def _named(found: list[tuple[str, Value]]) -> Values:
    """Numbered from 1 where one name is there more than once; a button that nothing happened to has no value."""
    names = [name for name, _ in found]
    seen: dict[str, int] = {}
    values: Values = {}
    for name, value in found:
        if names.count(name) > 1 and not name.startswith(("unit.", "note.")):
            seen[name] = seen.get(name, 0) + 1
            name = f"{name}_{seen[name]}"  # noqa: PLW2901 - the name it has among its like
        if value != "" or name not in {"button", "dimmer"}:
            values[name] = value
    return {name: value for name, value in values.items() if value != ""}
