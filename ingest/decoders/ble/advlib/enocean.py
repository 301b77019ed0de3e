"""EnOcean (company 0x03DA): sensors that harvest their energy, and switches.

In: the bytes behind the company id. Out: values by advlib's names; None for what is too short or no such telegram.
Format: EnOcean's BLE sensor protocol specification, and the PTM 215B manual.
"""

from struct import unpack_from

from ingest.decoders.ble.advlib.words import Found, u16, u32

URI = "https://sniffypedia.org/Organization/EnOcean_GmbH/"
_SCALED = {
    0x00: ("temperature", "<h", 0.01),
    0x01: ("batteryVoltage", "<h", 0.0005),
    0x02: ("batteryPercentage", "<B", 0.5),
    0x04: ("illuminance", "<H", 1),
    0x05: ("illuminance", "<H", 1),
    0x06: ("relativeHumidity", "<B", 0.5),
    0x07: ("pressure", "<h", 100),
}
_NONE = {"<h": (32767, -32768), "<B": (0xFF, 0xFE), "<H": (0xFFFF, 0xFFFE)}
_SEEN = {0x20: "isMotionDetected", 0x23: "isContactDetected"}
_STATUS = 0x39
_COMMANDS = 0x30


def enocean(data: bytes) -> Found | None:
    """A sensor's telegram (with a signature of four bytes at its end), a device's status, or a press."""
    if len(data) < 9:
        return None
    if len(data) == 9:
        return _switch(data)
    found: Found = {"txCount": u32(data, 0), "uri": URI}
    kind = data[4] & 0x3F
    if kind < _COMMANDS:
        at = 4
        while at < len(data) - 4:
            at = _item(data, at, found)
        found["securitySignature"] = data[-4:].hex()
    elif kind == _STATUS:
        found["uptime"] = u32(data, 6)
        light, battery = u16(data, 10), data[12]
        found |= {} if light >= 0xFFFE else {"illuminance": light}
        found |= {} if battery >= 0xFE else {"batteryPercentage": battery}
    return found


def _item(data: bytes, at: int, found: Found) -> int:
    """A byte of size and kind, a value. Out: where the next one begins."""
    size, kind = data[at] >> 6, data[at] & 0x3F
    start, length = (at + 1, 1 << size) if size < 3 else (at + 2, data[at + 1])
    if kind in _SCALED:
        name, form, factor = _SCALED[kind]
        value = unpack_from(form, data, start)[0]
        if value not in _NONE[form]:
            found[name] = value if factor == 1 else round(value * factor, 4)
    elif kind in _SEEN and data[start] in {1, 2}:
        found[_SEEN[kind]] = [data[start] == 2]
    elif kind == 0x0A:
        value = u32(data, start)
        if value >> 30 in {1, 2}:
            found["acceleration"] = [((value >> shift & 0x3FF) - 512) / 100 for shift in (0, 10, 20)]
            found["isMotionDetected"] = [value >> 30 == 2]
    return start + length


def _switch(data: bytes) -> Found | None:
    status = data[4]
    if status & 0xE0:
        return None
    pressed = [bool(status & 1 and status & bit) for bit in (2, 4, 8, 16)]
    return {"txCount": u32(data, 0), "isButtonPressed": pressed, "securitySignature": data[-4:].hex(), "uri": URI}
