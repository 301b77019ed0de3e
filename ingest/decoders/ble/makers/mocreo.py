"""MOCREO sensors: ST5, ST6, ST7, ST8, ST9, ST10, SW2, MS1 to MS3.

In: manufacturer data; all but the ST7 put their kind where the company id belongs. Out: temperature, humidity, water
leak, battery. Source of the layout: github.com/custom-components/ble_monitor.
"""

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_MODELS = {
    0x10: "ST7",
    0x81: "ST5",
    0x82: "SW2",
    0x83: "ST6",
    0x84: "ST8",
    0x86: "ST9",
    0x87: "ST10",
    0x8B: "MS1",
    0x94: "MS2",
    0x96: "MS3",
}
_HUMID = {"ST6", "ST9"}


def mocreo(advert: Advert, data: bytes, company: int) -> Reading | None:
    """Kind in the second byte, battery in the fifth, temperature in the seventh and eighth (ST7: one earlier)."""
    if company == 0x004A and advert.local_name == "ST7" and len(data) == 14:
        body = data[5:]
    elif advert.local_name == "MOCREO" and len(data) == 16:
        body = company.to_bytes(2, "little") + data
    else:
        return None
    model = _MODELS.get(body[1])
    if model is None:
        return None
    values: Values = {"battery": body[4] & 0x7F}
    if model == "SW2":
        return Reading("MOCREO", model, {"water_leak": bool(body[10] & 1), **values})
    at = 5 if model == "ST7" else 6
    values["temperature"] = _hundredths(body[at : at + 2])
    if model in _HUMID:
        values["humidity"] = _hundredths(body[8:10])
    return Reading("MOCREO", model, values)


def _hundredths(data: bytes) -> float:
    return int.from_bytes(data, "little", signed=True) / 100
