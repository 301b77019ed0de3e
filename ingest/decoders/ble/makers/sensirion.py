"""Sensirion gadgets (MyCO2, SHT4x gadgets and what is built with their library): company 06d5.

In: manufacturer data. Out: temperature, humidity, co2, voc, nox, pm25 …, by sample type. Source:
github.com/Sensirion/arduino-ble-gadget.
"""

from collections.abc import Callable

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_Convert = Callable[[int], float]


def _temperature(raw: int) -> float:
    return raw / 65535 * 175 - 45


def _humidity(raw: int) -> float:
    return raw / 65535 * 100


def _humidity_2(raw: int) -> float:
    return raw * 125 / 65535 - 6


def _pm(raw: int) -> float:
    return raw / 65535 * 1000


def _pm_2(raw: int) -> float:
    return raw / 10


def _hcho(raw: int) -> float:
    return raw / 5


def _plain(raw: int) -> float:
    return raw


_TH = (("temperature", _temperature), ("humidity", _humidity))
_CO2, _VOC = ("co2", _plain), ("voc", _plain)
_SAMPLES: dict[int, tuple[tuple[str, _Convert], ...]] = {
    3: (*_TH, _VOC, ("voc_raw", _plain)),
    4: _TH,
    6: (_TH[0], ("humidity", _humidity_2)),
    8: (*_TH, _CO2),
    10: (*_TH, _CO2),
    12: (*_TH, _CO2, ("pm25", _pm)),
    14: (*_TH, ("hcho", _hcho)),
    16: (*_TH, _VOC, ("pm25", _pm)),
    20: (*_TH, _CO2, _VOC, ("pm25", _pm), ("hcho", _hcho)),
    22: (*_TH, _VOC, ("nox", _plain)),
    24: (*_TH, _VOC, ("nox", _plain), ("pm25", _pm_2)),
    26: (*_TH, _CO2, _VOC, ("nox", _plain), ("pm25", _pm_2)),
    28: (*_TH, _CO2, ("pm25", _pm_2)),
    30: (*_TH, _VOC, ("pm25", _pm_2)),
    32: (*_TH, _CO2, _VOC, ("pm25", _pm_2), ("hcho", _hcho)),
    34: (_CO2,),
}


def sensirion(advert: Advert, data: bytes, digits: int = 2) -> Reading | None:
    """Advert type 0, sample type, device id (2), values of two bytes."""
    if len(data) < 4 or data[0] != 0 or data[1] not in _SAMPLES:
        return None
    values: Values = {}
    for number, (name, convert) in enumerate(_SAMPLES[data[1]]):
        raw = data[4 + number * 2 : 6 + number * 2]
        if len(raw) == 2:
            values[name] = round(convert(int.from_bytes(raw, "little")), digits)
    return Reading("Sensirion", advert.local_name or "Gadget", values)
