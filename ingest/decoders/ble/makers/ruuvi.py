"""Ruuvi's formats: 2 and 4 (a URL), 3, 5, C5 (RuuviTag), 6 and E1 (Ruuvi Air), 8 (encrypted).

In: what stands behind company id 0x0499, or what the URL encodes. Out: values by Ruuvi's names, None for what Ruuvi
marks as not available; pressure in Pa, acceleration in G. Formats: docs.ruuvi.com, Bluetooth advertisements.
"""

import base64
import binascii
import math
from collections.abc import Callable
from struct import Struct

from headwater.errors import Rejected
from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.crypto import known_key
from ingest.decoders.ble.reading import Key, Reading, Values, coin_cell

COMPANY = 0x0499
_URL = b"ruu.vi/#"
_LUX = math.log(65536) / 254
_3 = Struct(">BBBHhhhH")
_5 = Struct(">hHHhhhHBH6s")
_C5 = Struct(">hHHHBH6s")
_8 = Struct(">hHHHHH")
_AIR = Struct(">hHH")
_NO_ADDRESS = b"\xff" * 6


def ruuvi(data: bytes, address: str = "", key: Key | None = None) -> Values:
    """Values by name; `data_format` and `mac` among them. Raises `Rejected`."""
    if not data:
        raise Rejected("bad_shape", "Ruuvi's data is empty")
    kind, size = data[0], len(data)
    if kind == 8 and size == 24:
        return {"data_format": 8, **_format_8(data, address, key)}
    if kind == 5 and size == 18:  # C5 under the number of 5, as Ruuvi's own examples have it
        return {"data_format": 5, **_format_c5(data)}
    known = _FORMATS.get(kind)
    if known is None:
        raise Rejected("unsupported", f"Ruuvi's format {kind:X} is not known: 2, 3, 4, 5, C5, 6, 8 and E1 are")
    name, least, most, read = known
    if not least <= size <= most:
        raise Rejected("bad_shape", f"Ruuvi's format {name} has {most} bytes, this has {size}")
    return {"data_format": name, **read(data)}


def from_url(url: bytes) -> bytes | None:
    """`https://ruu.vi/#BFwaAMjlQ` → the bytes of format 2 or 4; None if it is no such URL."""
    start = url.find(_URL)
    if start < 0:
        return None
    letters = url[start + len(_URL) :].strip()[:9]
    try:
        return base64.b64decode(letters[:8], b"-_", validate=True)
    except binascii.Error:
        raise Rejected("bad_value", "the end of Ruuvi's URL is not base64") from None


def maker(advert: Advert, data: bytes, key: Key) -> Reading | None:
    """Under the names and in the units that all adverts share: hPa, acceleration in mG."""
    own = ruuvi(data, advert.address, key)
    values: Values = {}
    for name, value in own.items():
        if name in {"data_format", "mac"}:
            continue
        if name == "pressure" and value is not None:
            value = round(float(value) / 100, 2)  # noqa: PLW2901 - in the other unit
        elif name.startswith("acceleration_") and value is not None:
            value = round(float(value) * 1000)  # noqa: PLW2901 - in the other unit
        elif name in {"temperature", "humidity"} and value is not None:
            value = round(float(value), 2)  # noqa: PLW2901 - as the others have it
        values[name] = value
    axes = [values.get(f"acceleration_{axis}") for axis in "xyz"]
    strengths = [float(axis) for axis in axes if isinstance(axis, int)]
    if len(strengths) == len(axes):
        values["acceleration"] = math.hypot(*strengths)
    volts = values.get("voltage")
    if isinstance(volts, float):
        values["battery"] = coin_cell(volts)
    packet = values.get("measurement_sequence")
    mac = own.get("mac")
    address = mac if isinstance(mac, str) and len(mac) == 12 and not advert.address else ""
    return Reading(
        f"Ruuvitag V{own['data_format']}", "Ruuvitag", values, packet if isinstance(packet, int) else None, address
    )


def url_maker(advert: Advert, data: bytes) -> Reading | None:
    """Service data of Eddystone that is Ruuvi's URL."""
    raw = from_url(data)
    return None if raw is None else maker(advert, raw, lambda _: None)


def _climate(temperature: int, humidity: int, pressure: int) -> Values:
    """What all formats from 5 on begin with; their largest numbers mean that there is none."""
    return {
        "temperature": None if temperature == -0x8000 else round(temperature * 0.005, 3),
        "humidity": None if humidity == 0xFFFF else round(humidity * 0.0025, 4),
        "pressure": None if pressure == 0xFFFF else pressure + 50_000,
    }


def _climate_3(data: bytes) -> Values:
    """A byte of half percents, a byte of sign and degrees, one of hundredths, pressure."""
    degrees = (data[1] & 0x7F) + data[2] / 100
    return {
        "temperature": round(-degrees if data[1] & 0x80 else degrees, 2),
        "humidity": data[0] / 2,
        "pressure": (data[3] << 8 | data[4]) + 50_000,
    }


def _acceleration(axes: tuple[int, int, int]) -> Values:
    return {
        f"acceleration_{axis}": None if value == -0x8000 else value / 1000
        for axis, value in zip("xyz", axes, strict=True)
    }


def _power(word: int) -> Values:
    volts, strength = word >> 5, word & 31
    return {
        "voltage": None if volts == 0x7FF else round(1.6 + volts / 1000, 3),
        "tx_power": None if strength == 31 else strength * 2 - 40,
    }


def _mac(address: bytes) -> Values:
    return {"mac": None if address == _NO_ADDRESS[: len(address)] else address.hex().upper()}


def _counts(movements: int, most: int, sequence: int) -> Values:
    return {
        "movement_counter": None if movements == most else movements,
        "measurement_sequence": None if sequence == 0xFFFF else sequence,
    }


def _format_3(data: bytes) -> Values:
    x, y, z, volts = _3.unpack_from(data, 1)[4:]
    return {**_climate_3(data[1:6]), **_acceleration((x, y, z)), "voltage": volts / 1000}


def _format_5(data: bytes) -> Values:
    heat, damp, air, x, y, z, power, movements, sequence, mac = _5.unpack_from(data, 1)
    climate = _climate(heat, damp, air)
    return {**climate, **_acceleration((x, y, z)), **_power(power), **_counts(movements, 0xFF, sequence), **_mac(mac)}


def _format_c5(data: bytes) -> Values:
    heat, damp, air, power, movements, sequence, mac = _C5.unpack_from(data, 1)
    return {**_climate(heat, damp, air), **_power(power), **_counts(movements, 0xFF, sequence), **_mac(mac)}


def _format_8(data: bytes, address: str, key: Key | None) -> Values:
    sealed, check, mac = data[1:17], data[17], data[18:24]
    own = known_key(mac.hex().upper() if mac != _NO_ADDRESS else address, key or (lambda _: None), 16)
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes  # noqa: PLC0415 - see `open_sealed`

    cipher = Cipher(algorithms.AES(own), modes.ECB()).decryptor()  # noqa: S305 - what the format has
    plain = cipher.update(sealed) + cipher.finalize()
    if _crc8(plain) != check:
        raise Rejected("encrypted", "the key does not fit what this tag sends: the checksum is another")
    heat, damp, air, power, movements, sequence = _8.unpack_from(plain)
    return {**_climate(heat, damp, air), **_power(power), **_counts(movements, 0xFFFF, sequence), **_mac(mac)}


def _crc8(data: bytes) -> int:
    """CRC-8 with the polynomial 0x07."""
    check = 0
    for byte in data:
        check ^= byte
        for _ in range(8):
            check = (check << 1 ^ 0x07 if check & 0x80 else check << 1) & 0xFF
    return check


def _index(high: int, low: int) -> int | None:
    """Nine bits, the lowest of them in the flags; without flags all eight ones are as good as nine."""
    value = high << 1 | low
    return None if value == 0x1FF else value


def _tenths(high: int, low: int) -> float | None:
    value = high << 8 | low
    return None if value == 0xFFFF else value / 10


def _co2(high: int, low: int) -> int | None:
    value = high << 8 | low
    return None if value == 0xFFFF else value


def _flags(data: bytes, at: int, high: tuple[int, int]) -> Values:
    """Indices and calibration; `note.flags` where the flags are cut off."""
    voc, nox = high
    if len(data) <= at:
        cut: Values = {"voc": None if voc == 0xFF else voc << 1, "nox": None if nox == 0xFF else nox << 1}
        return cut | {"flags": None}
    flags = data[at]
    return {
        "voc": _index(voc, flags >> 6 & 1),
        "nox": _index(nox, flags >> 7),
        "calibration_in_progress": bool(flags & 1),
    }


def _format_6(data: bytes) -> Values:
    values = _climate(*_AIR.unpack_from(data, 1))
    values["pm_2_5"] = _tenths(data[7], data[8])
    values["co2"] = _co2(data[9], data[10])
    values |= _flags(data, 16, (data[11], data[12]))
    values["luminosity"] = None if data[13] == 0xFF else round(math.exp(data[13] * _LUX) - 1, 2)
    if len(data) > 15:
        values["measurement_sequence"] = data[15]
    if len(data) >= 20:
        values |= _mac(data[17:20])
    return values


def _format_e1(data: bytes) -> Values:
    values = _climate(*_AIR.unpack_from(data, 1))
    for place, name in enumerate(("pm_1_0", "pm_2_5", "pm_4_0", "pm_10_0")):
        values[name] = _tenths(data[7 + 2 * place], data[8 + 2 * place])
    values["co2"] = _co2(data[15], data[16])
    values |= _flags(data, 28, (data[17], data[18]))
    light = int.from_bytes(data[19:22], "big")
    values["luminosity"] = None if light == 0xFFFFFF else light / 100
    if len(data) >= 28:
        count = int.from_bytes(data[25:28], "big")
        values["measurement_sequence"] = None if count == 0xFFFFFF else count
    if len(data) >= 40:
        values |= _mac(data[34:40])
    return values


_FORMATS: dict[int, tuple[int | str, int, int, Callable[[bytes], Values]]] = {
    2: (2, 6, 6, lambda data: _climate_3(data[1:6])),
    3: (3, 14, 26, _format_3),
    4: (4, 6, 7, lambda data: _climate_3(data[1:6])),
    5: (5, 24, 24, _format_5),
    6: (6, 14, 20, _format_6),
    8: (8, 24, 24, lambda _: {}),
    0xC5: ("C5", 18, 18, _format_c5),
    0xE1: ("E1", 22, 40, _format_e1),
}
"""Name, least and most bytes, reader. Of 6 and E1, what stands before the reserved bytes is enough."""
