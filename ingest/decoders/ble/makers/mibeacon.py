"""Xiaomi MiBeacon, versions 2 to 5, plain and encrypted: service fe95.

In: service data. Out: what its objects say (`mibeacon_objects`). Format: Xiaomi's "BLE MiBeacon protocol" (iot.mi.com,
embedded development, BLE), device types as github.com/custom-components/ble_monitor lists them.
"""

from headwater.errors import Rejected
from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.crypto import open_sealed, open_unchecked
from ingest.decoders.ble.makers.mibeacon_models import MODELS
from ingest.decoders.ble.makers.mibeacon_objects import objects
from ingest.decoders.ble.reading import Key, Reading, backwards

_ENCRYPTED, _HAS_ADDRESS, _HAS_CAPABILITY, _HAS_OBJECT, _MESH = 8, 16, 32, 64, 128
_CONSTANT = bytes.fromhex("8d3d3c97")
_IO = 0x20


def mibeacon(advert: Advert, data: bytes, key: Key) -> Reading | None:
    """Control (2), device type (2), frame counter, [address (6)], [capability, [I/O]], [objects]."""
    if len(data) < 5:
        return None
    control = data[0] | data[1] << 8
    version = control >> 12
    if version < 2 or control & _MESH:
        raise Rejected(
            "unsupported", f"MiBeacon version {version}{', mesh' if control & _MESH else ''}: not for sensors"
        )
    kind, counter, at = data[2] | data[3] << 8, data[4], 5
    address = advert.address
    if control & _HAS_ADDRESS:
        if len(data) < 11:
            return None
        address, at = backwards(data[5:11]), 11
    if control & _HAS_CAPABILITY:
        capability = data[at] if at < len(data) else 0
        at += 1 + bool(capability & _IO)
    model = MODELS.get(kind, f"MiBeacon {kind:#06x}")
    firmware = f"Xiaomi (MiBeacon V{version}{' encrypted' if control & _ENCRYPTED else ''})"
    if not control & _HAS_OBJECT:
        return Reading(firmware, model, {}, counter, address)
    if not control & _ENCRYPTED:
        plain = data[at:]
    elif version <= 3:
        plain = _open_old(address, data, at, key)
    else:
        plain = _open(address, data, at, key)
    values, when = objects(plain, model)
    return Reading(firmware, model, values, counter, address, when)


def _open(address: str, data: bytes, at: int, key: Key) -> bytes:
    """Versions 4 and 5: ciphertext, three more bytes of the counter, tag (4)."""
    if len(data) < at + 8:
        raise Rejected("bad_shape", "the encrypted MiBeacon frame is cut short")
    more = data[2:5] + data[-7:-4]
    return open_sealed(address, key, lambda own: own[::-1] + more, data[at:-7], data[-4:])


def _open_old(address: str, data: bytes, at: int, key: Key) -> bytes:
    """Versions 2 and 3: ciphertext, three more bytes of the counter, one checked by nobody."""
    if len(data) < at + 5:
        raise Rejected("bad_shape", "the encrypted MiBeacon frame is cut short")
    head, more = data[:5], data[-4:-1]
    return open_unchecked(address, key, lambda own: head + more + own[:0:-1], data[at:-4], _CONSTANT)
